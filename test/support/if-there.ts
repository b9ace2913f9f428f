const goneCodes = ['ENOENT', 'ENOTDIR', 'ESRCH'];

/**
 * Reads something that others may remove at any moment, so that looking first whether it exists would not help.
 * @returns undefined if it does not exist
 */
export function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (goneCodes.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
