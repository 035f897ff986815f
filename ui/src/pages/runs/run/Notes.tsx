// Notes about a run in Markdown, edited where they stand; MLflow's own pages show the same text.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type KeyboardEvent } from "react";
import { del, put, seg } from "../../../api/client.ts";
import { useMay } from "../../../api/useMay.ts";
import { Button } from "../../../ui/Button.tsx";
import { Card } from "../../../ui/Card.tsx";
import { Markdown } from "../../../ui/Markdown.tsx";
import { toast } from "../../../ui/Toasts.tsx";

export const NOTE_TAG = "mlflow.note.content";

export function Notes({ run, text }: { run: string; text: string }) {
  const client = useQueryClient();
  const mayWrite = useMay("write");
  const [draft, setDraft] = useState<string | null>(null);
  const address = `/runs/${seg(run)}/tags/${NOTE_TAG}`;
  const save = useMutation({
    mutationFn: (value: string) => (value ? put(address, { value }) : text ? del(address) : Promise.resolve()),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["runs"] });
      setDraft(null);
    },
    onError: (error) => toast(error.message, true),
  });
  const key = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save.mutate((draft ?? "").trim());
    else if (event.key === "Escape") setDraft(null);
    else return;
    event.preventDefault();
  };
  return (
    <Card
      title="Notes"
      actions={
        mayWrite &&
        draft === null && (
          <Button kind="quiet" onClick={() => setDraft(text)}>
            {text ? "Edit" : "Write"}
          </Button>
        )
      }
    >
      {draft !== null ? (
        <div className="stack stack-s">
          <textarea
            className="input mono"
            aria-label="Notes in Markdown"
            rows={Math.min(24, Math.max(6, draft.split("\n").length + 2))}
            value={draft}
            autoFocus
            onChange={(event) => setDraft(event.target.value)}
            onKeyDown={key}
          />
          <div className="row">
            <Button kind="primary" busy={save.isPending} onClick={() => save.mutate(draft.trim())}>
              Save
            </Button>
            <Button kind="quiet" onClick={() => setDraft(null)}>
              Cancel
            </Button>
            <span className="faint small">Markdown; Ctrl Enter saves</span>
          </div>
        </div>
      ) : text ? (
        <Markdown text={text} />
      ) : (
        <p className="dim">What was tried, what came out, what is next.</p>
      )}
    </Card>
  );
}
