// Markdown as a tree of plain values: what people write in notes. No HTML passes through, so nothing needs to be cleaned.

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em" | "del"; parts: Inline[] }
  | { kind: "link"; href: string; parts: Inline[] }
  | { kind: "break" };
export type Block =
  | { kind: "heading"; level: number; parts: Inline[] }
  | { kind: "text"; parts: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; ordered: boolean; items: { done: boolean | null; blocks: Block[] }[] }
  | { kind: "table"; head: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

/** Only addresses that lead somewhere and do nothing: the web, mail, and pages of this server. */
export function safeHref(href: string): string | null {
  const text = href.trim();
  if (/^(https?:|mailto:)/i.test(text)) return text;
  return /^(\/(?!\/)|#)/.test(text) ? text : null;
}

const INLINE =
  /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*([^\s*][\s\S]*?)\*\*|__([^\s_][\s\S]*?)__|~~([\s\S]+?)~~|\*([^\s*][^*]*?)\*|(?<![\w])_([^\s_][^_]*?)_(?![\w])|\[([^\]]+)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"])|\\([\\`*_{}[\]()#+\-.!|~>])| {2,}\n/;

export function inline(text: string): Inline[] {
  const parts: Inline[] = [];
  let rest = text;
  const plain = (value: string): void => {
    if (!value) return;
    const last = parts.at(-1);
    if (last?.kind === "text") last.text += value;
    else parts.push({ kind: "text", text: value });
  };
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    plain(rest.slice(0, found.index));
    const [whole, , code, strong, strong2, del, em, em2, label, href, bare, escaped] = found;
    if (code !== undefined) parts.push({ kind: "code", text: code.replace(/^ (.*) $/s, "$1") });
    else if (strong !== undefined || strong2 !== undefined) parts.push({ kind: "strong", parts: inline(strong ?? strong2 ?? "") });
    else if (del !== undefined) parts.push({ kind: "del", parts: inline(del) });
    else if (em !== undefined || em2 !== undefined) parts.push({ kind: "em", parts: inline(em ?? em2 ?? "") });
    else if (label !== undefined) {
      const to = safeHref(href ?? "");
      if (to) parts.push({ kind: "link", href: to, parts: inline(label) });
      else plain(label);
    } else if (bare !== undefined) parts.push({ kind: "link", href: bare, parts: [{ kind: "text", text: bare }] });
    else if (escaped !== undefined) plain(escaped);
    else parts.push({ kind: "break" });
    rest = rest.slice(found.index + whole.length);
  }
  plain(rest);
  return parts;
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const cells = (line: string): Inline[][] =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => inline(cell.trim()));

export function markdown(source: string): Block[] {
  return blocks(source.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
}

function blocks(lines: string[], depth: number): Block[] {
  const made: Block[] = [];
  let i = 0;
  const line = (at: number): string => lines[at] ?? "";
  while (i < lines.length) {
    const now = line(i);
    const fence = /^\s{0,3}(```+|~~~+)\s*([\w+-]*)/.exec(now);
    const heading = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(now);
    if (!now.trim()) i += 1;
    else if (fence) {
      const end = lines.findIndex((each, at) => at > i && each.trim().startsWith(fence[1] ?? "```"));
      const to = end < 0 ? lines.length : end;
      made.push({ kind: "code", language: fence[2] ?? "", text: lines.slice(i + 1, to).join("\n") });
      i = to + 1;
    } else if (heading) {
      made.push({ kind: "heading", level: heading[1]?.length ?? 1, parts: inline(heading[2] ?? "") });
      i += 1;
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(now)) {
      made.push({ kind: "rule" });
      i += 1;
    } else if (/^\s{0,3}>/.test(now) && depth < 6) {
      const start = i;
      while (i < lines.length && /^\s{0,3}>/.test(line(i))) i += 1;
      made.push({
        kind: "quote",
        blocks: blocks(
          lines.slice(start, i).map((each) => each.replace(/^\s{0,3}> ?/, "")),
          depth + 1,
        ),
      });
    } else if (now.includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line(i + 1)) && line(i + 1).includes("-")) {
      const head = cells(now);
      i += 2;
      const rows: Inline[][][] = [];
      while (i < lines.length && line(i).includes("|") && line(i).trim()) {
        rows.push(cells(line(i)));
        i += 1;
      }
      made.push({ kind: "table", head, rows });
    } else if (ITEM.test(now) && depth < 6) {
      const indent = (ITEM.exec(now)?.[1] ?? "").length;
      const ordered = /\d/.test(ITEM.exec(now)?.[2] ?? "");
      const items: string[][] = [];
      while (i < lines.length) {
        const item = ITEM.exec(line(i));
        if (item && (item[1] ?? "").length <= indent + 1) {
          if (/\d/.test(item[2] ?? "") !== ordered) break;
          items.push([item[3] ?? ""]);
        } else if (!line(i).trim()) {
          if (!/^\s{2,}\S/.test(line(i + 1)) && !ITEM.test(line(i + 1))) break;
          items.at(-1)?.push("");
        } else if (/^\s{2,}/.test(line(i)) || item) items.at(-1)?.push(line(i).replace(new RegExp(`^\\s{1,${indent + 4}}`), ""));
        else break;
        i += 1;
      }
      made.push({
        kind: "list",
        ordered,
        items: items.map((item) => {
          const task = /^\[([ xX])\]\s+/.exec(item[0] ?? "");
          const body = task ? [(item[0] ?? "").slice(task[0].length), ...item.slice(1)] : item;
          return { done: task ? task[1] !== " " : null, blocks: blocks(body, depth + 1) };
        }),
      });
    } else {
      const start = i;
      i += 1;
      while (i < lines.length && line(i).trim() && !/^\s{0,3}(#{1,6}\s|```|~~~|>)/.test(line(i)) && !ITEM.test(line(i))) i += 1;
      made.push({ kind: "text", parts: inline(lines.slice(start, i).join("\n").trim()) });
    }
  }
  return made;
}
