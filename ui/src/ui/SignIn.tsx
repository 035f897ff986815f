// Asks for a token when the server wants to know who is there, and has it kept in a cookie that scripts cannot read.
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { post } from "../api/client.ts";
import { Button } from "./Button.tsx";
import { Field } from "./Field.tsx";

export function SignIn() {
  const [token, setToken] = useState("");
  const enter = useMutation({ mutationFn: () => post("/session", { token: token.trim() }), onSuccess: () => location.reload() });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    enter.mutate();
  };
  return (
    <form className="state" onSubmit={submit}>
      <h2>Sign in</h2>
      <p className="dim">
        This server asks who you are. Make a token where it runs with <code>trimtab tokens create NAME</code>, or ask an admin for one.
      </p>
      <Field label="Token" hint="Kept in a cookie of this browser for 30 days" error={enter.error ? enter.error.message : null}>
        <input
          className="input mono"
          type="password"
          autoComplete="current-password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          required
        />
      </Field>
      <div>
        <Button kind="primary" type="submit" busy={enter.isPending}>
          Sign in
        </Button>
      </div>
    </form>
  );
}
