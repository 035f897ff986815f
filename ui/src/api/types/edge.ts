// Bundles for devices, and the devices that called.

export interface EdgeBundle {
  model: string;
  alias: string;
  endpoint: string;
  reference: string;
  state: "building" | "ready" | "failed";
  sequence: number;
  version: number | null;
  size_bytes: number;
  error: string | null;
  created_us: number;
  updated_us: number;
  created_by: string;
}

export interface EdgeDevice {
  device: string;
  sequence: number;
  first_us: number;
  last_us: number;
  taken: number;
  lost: number;
  problem: string | null;
}
