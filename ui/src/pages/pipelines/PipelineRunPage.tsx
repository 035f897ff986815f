export function PipelineRunPage() { return null; }
