// Saved views: filter, order, columns and grouping under a name, for oneself or for everyone.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { del, patch, post, seg } from "../../../api/client.ts";
import { q } from "../../../api/queries.ts";
import type { SavedView, ViewState } from "../../../api/types.ts";
import { Button } from "../../../ui/Button.tsx";
import { Icon } from "../../../ui/Icon.tsx";
import { Popover } from "../../../ui/Popover.tsx";
import { toast } from "../../../ui/Toasts.tsx";

interface Props {
  experiment: string;
  state: ViewState;
  current: string | undefined;
  onOpen: (view: SavedView | null) => void;
}

const tidy = (state: ViewState): string =>
  JSON.stringify(
    Object.entries(state)
      .filter(([, value]) => value !== undefined)
      .sort(),
  );

export function ViewsMenu({ experiment, state, current, onOpen }: Props) {
  const client = useQueryClient();
  const query = useQuery(q.views(experiment));
  const [name, setName] = useState("");
  const views = query.data?.items ?? [];
  const open = views.find((view) => view.id === current);
  const changed = open !== undefined && tidy(open.state) !== tidy(state);
  const again = (): Promise<void> => client.invalidateQueries({ queryKey: ["views"] });
  const failed = (error: Error): void => toast(error.message, true);
  const save = useMutation({
    mutationFn: (shared: boolean) =>
      post<SavedView>("/views", { name: name.trim(), page: "runs", experiment_id: experiment, state, shared }),
    onSuccess: async (view) => {
      setName("");
      await again();
      onOpen(view);
      toast(`Saved the view “${view.name}”`);
    },
    onError: failed,
  });
  const change = useMutation({
    mutationFn: ({ id, ...body }: { id: string; state?: ViewState; shared?: boolean }) => patch<SavedView>(`/views/${seg(id)}`, body),
    onSuccess: again,
    onError: failed,
  });
  const remove = useMutation({
    mutationFn: (view: SavedView) => del(`/views/${seg(view.id)}`),
    onSuccess: (_, view) => {
      void again();
      if (view.id === current) onOpen(null);
      toast(`Deleted the view “${view.name}”`, false, {
        label: "Undo",
        act: () =>
          void post("/views", {
            name: view.name,
            page: "runs",
            experiment_id: view.experiment_id,
            state: view.state,
            shared: view.shared,
          }).then(again),
      });
    },
    onError: failed,
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim()) save.mutate(false);
  };
  return (
    <Popover label={open ? `${open.name}${changed ? " (changed)" : ""}` : "Views"} icon="table">
      {(close) => (
        <div className="views-panel">
          <ul>
            <li>
              <button
                type="button"
                aria-pressed={!open}
                onClick={() => {
                  onOpen(null);
                  close();
                }}
              >
                All runs
              </button>
            </li>
            {views.map((view) => (
              <li key={view.id}>
                <button
                  type="button"
                  aria-pressed={view.id === current}
                  onClick={() => {
                    onOpen(view);
                    close();
                  }}
                >
                  <span className="truncate">{view.name}</span>
                  <span className="faint small">{view.mine ? (view.shared ? "shared" : "") : `by ${view.owner}`}</span>
                </button>
                {view.mine && (
                  <>
                    <button
                      type="button"
                      className="icon-button"
                      aria-pressed={view.shared}
                      title={view.shared ? "Keep to myself" : "Share with everyone"}
                      aria-label={`${view.shared ? "Keep to myself" : "Share with everyone"}: ${view.name}`}
                      onClick={() => change.mutate({ id: view.id, shared: !view.shared })}
                    >
                      <Icon name={view.shared ? "check" : "person"} size={13} />
                    </button>
                    <button
                      type="button"
                      className="icon-button"
                      title="Delete"
                      aria-label={`Delete ${view.name}`}
                      onClick={() => remove.mutate(view)}
                    >
                      <Icon name="close" size={13} />
                    </button>
                  </>
                )}
              </li>
            ))}
          </ul>
          {open?.mine && changed && (
            <Button kind="primary" onClick={() => change.mutate({ id: open.id, state })}>
              Save changes to “{open.name}”
            </Button>
          )}
          <form className="row" onSubmit={submit}>
            <input
              className="input"
              aria-label="Name of the new view"
              placeholder="Save this as…"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
            <Button type="submit" disabled={!name.trim()} busy={save.isPending}>
              Save
            </Button>
          </form>
        </div>
      )}
    </Popover>
  );
}
