// The address of a run's file.
import { seg, url } from "../../../api/client.ts";

export const artifactUrl = (run: string, path: string, inline = false): string =>
  url(`/runs/${seg(run)}/artifacts/${path.split("/").map(seg).join("/")}`, inline ? { inline: true } : {});
