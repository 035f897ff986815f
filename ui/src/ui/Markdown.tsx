// Shows Markdown as elements of the page, never as HTML.
import { createElement, Fragment, type ReactNode } from "react";
import { A } from "./A.tsx";
import { markdown, type Block, type Inline } from "./markdown.ts";

const part = (each: Inline, i: number): ReactNode => {
  switch (each.kind) {
    case "text":
      return each.text;
    case "code":
      return <code key={i}>{each.text}</code>;
    case "break":
      return <br key={i} />;
    case "link":
      return each.href.startsWith("/") ? (
        <A key={i} className="link" href={each.href}>
          {each.parts.map(part)}
        </A>
      ) : (
        <a key={i} className="link" href={each.href} target="_blank" rel="noreferrer noopener">
          {each.parts.map(part)}
        </a>
      );
    default:
      return createElement(each.kind, { key: i }, ...each.parts.map(part));
  }
};

const block = (each: Block, i: number): ReactNode => {
  switch (each.kind) {
    case "heading":
      return createElement(`h${Math.min(6, each.level + 2)}`, { key: i }, ...each.parts.map(part));
    case "text":
      return <p key={i}>{each.parts.map(part)}</p>;
    case "code":
      return (
        <pre key={i} className="log" tabIndex={0}>
          {each.text}
        </pre>
      );
    case "quote":
      return <blockquote key={i}>{each.blocks.map(block)}</blockquote>;
    case "rule":
      return <hr key={i} />;
    case "list": {
      const items = each.items.map((item, j) => (
        <li key={j}>
          {item.done !== null && <input type="checkbox" checked={item.done} readOnly disabled aria-label={item.done ? "done" : "to do"} />}
          {item.blocks.length === 1 && item.blocks[0]?.kind === "text" ? item.blocks[0].parts.map(part) : item.blocks.map(block)}
        </li>
      ));
      return each.ordered ? <ol key={i}>{items}</ol> : <ul key={i}>{items}</ul>;
    }
    case "table":
      return (
        <div key={i} className="table-scroll" tabIndex={0} role="region" aria-label="Table">
          <table className="table">
            <thead>
              <tr>
                {each.head.map((cell, j) => (
                  <th key={j} scope="col">
                    {cell.map(part)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {each.rows.map((row, j) => (
                <tr key={j}>
                  {row.map((cell, k) => (
                    <td key={k}>{cell.map(part)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      );
  }
};

export function Markdown({ text }: { text: string }) {
  return (
    <div className="markdown">
      {markdown(text).map((each, i) => (
        <Fragment key={i}>{block(each, i)}</Fragment>
      ))}
    </div>
  );
}
