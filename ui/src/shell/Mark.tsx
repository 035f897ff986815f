// The rudder with its trim tab, and the wordmark beside it.
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden className="mark">
      <path d="M4 2h7.2A4.8 4.8 0 0 1 16 6.8V22H4z" fill="currentColor" />
      <path d="M17.4 11.2l4.2 1.5-2.1 9.3h-2.1z" className="mark-tab" />
    </svg>
  );
}

export function Wordmark() {
  return (
    <span className="wordmark">
      <Mark />
      <span>trimtab</span>
    </span>
  );
}
