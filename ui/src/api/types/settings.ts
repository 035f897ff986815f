// What is set for an endpoint beside its traffic.

export interface Setting {
  name: string;
  value: string;
  default: string;
  about: string;
  example: string;
}

export interface EndpointSettings {
  endpoint: string;
  settings: Setting[];
  fields: Record<string, string>;
  updated_us: number;
  updated_by: string;
  did: {
    limited: number;
    shed: number;
    retried: number;
    cache_hits: number;
    cache_misses: number;
    cache_bytes: number;
    open_circuits: string[];
  };
}
