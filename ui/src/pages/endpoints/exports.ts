// What an endpoint can be exported as, and the request and the command line that a choice stands for.
import type { Params } from "../../api/client.ts";

export type Format = "haproxy" | "envoy" | "kubernetes" | "kserve" | "ray" | "image";

export interface Choice {
  format: Format;
  upstreams: string;
  split: "proxy" | "gateways";
  image: string;
}

interface About {
  id: Format;
  label: string;
  file: string;
  hint: string;
  upstreams: boolean;
  image: boolean;
}

export const FORMATS: [About, ...About[]] = [
  { id: "haproxy", label: "HAProxy", file: "haproxy.cfg", hint: "Its whole configuration", upstreams: true, image: false },
  { id: "envoy", label: "Envoy", file: "envoy.yaml", hint: "Its static bootstrap", upstreams: true, image: false },
  {
    id: "kubernetes",
    label: "Kubernetes",
    file: "kubernetes.yaml",
    hint: "Plain manifests of packaged images",
    upstreams: false,
    image: true,
  },
  {
    id: "kserve",
    label: "KServe",
    file: "kserve.yaml",
    hint: "InferenceService, with a canary's percentage",
    upstreams: false,
    image: true,
  },
  { id: "ray", label: "Ray Serve", file: "", hint: "A folder with the models, for a Ray cluster", upstreams: false, image: false },
  { id: "image", label: "Container image", file: "", hint: "What to build an image from", upstreams: false, image: false },
];

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
const about = (format: Format): About => FORMATS.find((one) => one.id === format) ?? FORMATS[0];

/** The query of the export's address; what the format does not take is left out. */
export function query(choice: Choice): Params {
  const { upstreams, image } = about(choice.format);
  return {
    format: choice.format,
    upstream: upstreams ? words(choice.upstreams) : undefined,
    split: upstreams && choice.split !== "proxy" ? choice.split : undefined,
    image: image ? choice.image : undefined,
  };
}

/** The command that prints the same. */
export function command(name: string, choice: Choice): string {
  const asked = query(choice);
  const flags = [`--${choice.format}`];
  for (const one of (asked["upstream"] as string[] | undefined) ?? []) flags.push(`--upstream ${one}`);
  if (asked["split"]) flags.push(`--split ${String(asked["split"])}`);
  if (asked["image"]) flags.push(`--image '${String(asked["image"])}'`);
  return `trimtab endpoints export ${name} ${flags.join(" ")}`;
}

export const rayCommands = (name: string): string =>
  `trimtab endpoints export ${name} --ray --output ${name}-ray
trimtab endpoints verify ${name}-ray
cd ${name}-ray && serve run --working-dir . serve.yaml`;

export const packageCommands = (name: string): string =>
  `trimtab endpoints package ${name} --output ${name}
trimtab endpoints verify ${name}
trimtab endpoints package ${name} --tag ${name.toLowerCase()}:latest`;
