// Asks for a token when the server wants to know who is there; the token stays in this tab.
import { useState, type FormEvent } from "react";
import { session } from "../api/client.ts";
import { Button } from "./Button.tsx";
import { Field } from "./Field.tsx";

export function SignIn() {
  const [token, setToken] = useState("");
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    session.signIn(token.trim());
    location.reload();
  };
  return (
    <form className="state" onSubmit={submit}>
      <h3>Sign in</h3>
      <p className="dim">
        {session.token() ? "The token of this tab is not accepted: it may have been revoked or have expired." : "This server asks who you are."} Make a token where the
        server runs with <code>trimtab tokens create NAME</code>, or ask an owner for one.
      </p>
      <Field label="Token" hint="Kept until you close this tab">
        <input className="input mono" type="password" autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} required />
      </Field>
      <div><Button kind="primary" type="submit">Sign in</Button></div>
    </form>
  );
}
