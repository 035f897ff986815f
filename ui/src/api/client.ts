// One fetch for the whole UI: JSON in and out, problem+json as a typed error, signed in by a cookie that scripts cannot read.

export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly field: string | null;
  readonly requestId: string | null;
  readonly details: Record<string, unknown>;

  constructor(init: {
    status: number;
    title: string;
    detail?: string;
    code?: string;
    field?: string | null;
    requestId?: string | null;
    details?: Record<string, unknown>;
  }) {
    super(init.detail || init.title);
    this.name = "Problem";
    this.status = init.status;
    this.title = init.title;
    this.detail = init.detail ?? "";
    this.code = init.code ?? "";
    this.field = init.field ?? null;
    this.requestId = init.requestId ?? null;
    this.details = init.details ?? {};
  }
}

export type Params = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** A path under /api/v1 with its query; empty values are left out. */
export function url(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (Array.isArray(value)) for (const each of value) query.append(key, each);
    else if (value !== undefined && value !== null && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return `/api/v1${path}${text ? `?${text}` : ""}`;
}

async function problemOf(response: Response): Promise<Problem> {
  const requestId = response.headers.get("x-request-id");
  try {
    const body = (await response.json()) as Record<string, unknown>;
    return new Problem({
      status: response.status,
      title: String(body["title"] ?? response.statusText),
      detail: String(body["detail"] ?? ""),
      code: String(body["code"] ?? ""),
      field: typeof body["field"] === "string" ? body["field"] : null,
      requestId: typeof body["request_id"] === "string" ? body["request_id"] : requestId,
      details: (body["details"] as Record<string, unknown> | undefined) ?? {},
    });
  } catch {
    return new Problem({ status: response.status, title: response.statusText || `HTTP ${response.status}`, requestId });
  }
}

async function ask(method: string, target: string, body?: unknown, signal?: AbortSignal, accept = "application/json"): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(target, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? { accept } : { accept, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem({
      status: 0,
      title: "The server does not answer",
      detail: "It may have stopped, or the network between is down.",
      code: "unreachable",
    });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function call<T>(method: string, target: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await ask(method, target, body, signal);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export const get = <T>(path: string, params?: Params, signal?: AbortSignal): Promise<T> =>
  call<T>("GET", url(path, params), undefined, signal);
/** GET an answer that is text, such as a configuration file. */
export const getText = async (path: string, params?: Params, signal?: AbortSignal): Promise<string> =>
  (await ask("GET", url(path, params), undefined, signal, "*/*")).text();
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call<T>("POST", url(path), body);
export const put = <T>(path: string, body: unknown): Promise<T> => call<T>("PUT", url(path), body);
export const patch = <T>(path: string, body: unknown): Promise<T> => call<T>("PATCH", url(path), body);
export const del = <T>(path: string): Promise<T> => call<T>("DELETE", url(path));

/** A path segment that may hold any character. */
export const seg = (value: string | number): string => encodeURIComponent(String(value));
