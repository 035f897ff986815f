// When this person last looked at the overview, to mark what is new; kept in the browser only.
const KEY = "trimtab.overview-seen-us";

function read(): number {
  try {
    return Number(localStorage.getItem(KEY) ?? 0);
  } catch {
    return 0;
  }
}

/** The time of the previous visit in microseconds, 0 on the first one; fixed for as long as the tab lives. */
export const lastSeenUs = read();

addEventListener("pagehide", () => {
  try {
    localStorage.setItem(KEY, String(Date.now() * 1000));
  } catch {
    // Storage is off: nothing is marked as new.
  }
});
