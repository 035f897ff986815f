export function DataVersionPage() { return null; }
