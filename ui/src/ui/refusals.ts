// Which field of a form a refusal of the server belongs to.

/** The server's sentence where it refused one of these, else null. A name is a field of the body, or an error's code. */
export type Wrong = (...names: string[]) => string | null;

interface Refusal {
  message: string;
  field: string | null;
  code: string;
}

/** `wrong` for the fields of a form; `elsewhere` afterwards says whether no field took the refusal. */
export function refusals(problem: Refusal | null): { wrong: Wrong; elsewhere: () => boolean } {
  let taken = false;
  const wrong: Wrong = (...names) => {
    if (!problem) return null;
    const { field, code, message } = problem;
    const meant = names.some((name) => name === code || name === field || field?.startsWith(`${name}.`) || field?.startsWith(`${name}[`));
    if (meant) taken = true;
    return meant ? message : null;
  };
  return { wrong, elsewhere: () => !taken };
}
