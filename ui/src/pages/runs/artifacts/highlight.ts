// Colours for code: strings, comments, numbers and words, told apart by a few patterns that fit most languages.

export type Mark = "string" | "comment" | "number" | "word" | "key" | "";
const WORDS =
  /^(?:and|as|assert|async|await|break|case|class|const|continue|def|del|elif|else|except|export|false|False|finally|for|from|function|global|if|import|in|is|lambda|let|match|new|None|nonlocal|not|null|or|pass|raise|return|select|SELECT|self|then|true|True|try|type|var|where|WHERE|while|with|yield|FROM|JOIN|ON|AND|OR|GROUP|BY|ORDER|INSERT|UPDATE|CREATE|TABLE)$/;
const PATTERN =
  /("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|(#[^\n]*|\/\/[^\n]*|--\s[^\n]*|\/\*[\s\S]*?\*\/)|(\b\d[\d_]*(?:\.\d+)?(?:[eE][-+]?\d+)?\b)|([A-Za-z_][\w-]*)(?=\s*[:=](?!=))|([A-Za-z_]\w*)/g;

/** Splits a text into marked pieces. `comments` is false for languages in which # and // are no comments, such as JSON. */
export function highlight(text: string, comments = true): [mark: Mark, text: string][] {
  const pieces: [Mark, string][] = [];
  let at = 0;
  for (const found of text.matchAll(PATTERN)) {
    const [whole, string, comment, num, key, word] = found;
    const mark: Mark =
      string !== undefined
        ? "string"
        : comment !== undefined && comments
          ? "comment"
          : num !== undefined
            ? "number"
            : key !== undefined && !WORDS.test(key)
              ? "key"
              : WORDS.test(key ?? word ?? "")
                ? "word"
                : "";
    if (!mark) continue;
    if (found.index > at) pieces.push(["", text.slice(at, found.index)]);
    pieces.push([mark, whole]);
    at = found.index + whole.length;
  }
  if (at < text.length) pieces.push(["", text.slice(at)]);
  return pieces;
}
