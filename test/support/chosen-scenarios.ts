/** Which scenarios of a sweep a variable of the environment names: `17`, or `1-10000`. */
export interface ChosenScenarios {
  readonly first: number;
  readonly last: number;
}

/** @throws Error where the variable is set and names none */
export function chosenScenarios(variable: string): ChosenScenarios | undefined {
  const text = process.env[variable];
  if (text === undefined) return undefined;
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (first === undefined || Number(last) < Number(first)) {
    throw new Error(`${variable}=${text}: give a number, or a range like 1-10000`);
  }
  return { first: Number(first), last: Number(last) };
}
