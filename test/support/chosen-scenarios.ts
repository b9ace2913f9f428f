/** Selects scenarios of a sweep by an environment variable: `17`, or `1-10000`. */
export interface ChosenScenarios {
  readonly first: number;
  readonly last: number;
}

/** @throws Error if the variable is set but invalid */
export function chosenScenarios(variable: string): ChosenScenarios | undefined {
  const text = process.env[variable];
  if (text === undefined) return undefined;
  const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (first === undefined || Number(last) < Number(first)) {
    throw new Error(`${variable}=${text}: give a number, or a range like 1-10000`);
  }
  return { first: Number(first), last: Number(last) };
}
