// What the one who is here may do; acts that the server would refuse are not offered.
import { useQuery } from "@tanstack/react-query";
import { q } from "./queries.ts";

export type Action = "write" | "approve" | "admin";

const ROLES = ["viewer", "editor", "approver", "admin"];
const NEEDED: Record<Action, string> = { write: "editor", approve: "approver", admin: "admin" };

/** Whether a role includes an action. */
export const may = (role: string, action: Action): boolean => ROLES.indexOf(role) >= ROLES.indexOf(NEEDED[action]);

/** Whether the one who is here may; no, until it is known who that is. */
export function useMay(action: Action): boolean {
  const me = useQuery(q.me());
  return me.data ? may(me.data.role, action) : false;
}
