export function DatasetPage() { return null; }
