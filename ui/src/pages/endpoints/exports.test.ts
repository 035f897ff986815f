import assert from "node:assert/strict";
import { test } from "node:test";
import { FORMATS, command, query, rayCommands, type Choice } from "./exports.ts";

const CHOICE: Choice = { format: "haproxy", upstreams: " 10.0.0.7:5001,2=b:80  c:1 ", split: "gateways", image: "scans:v{version}" };

test("a choice asks for what its format takes", () => {
  assert.deepEqual(query(CHOICE), {
    format: "haproxy",
    upstream: ["10.0.0.7:5001", "2=b:80", "c:1"],
    split: "gateways",
    image: undefined,
  });
  assert.deepEqual(query({ ...CHOICE, format: "kserve" }), {
    format: "kserve",
    upstream: undefined,
    split: undefined,
    image: "scans:v{version}",
  });
});

test("the command says the same", () => {
  assert.equal(
    command("scans", CHOICE),
    "trimtab endpoints export scans --haproxy --upstream 10.0.0.7:5001 --upstream 2=b:80 --upstream c:1 --split gateways",
  );
  assert.equal(command("scans", { ...CHOICE, format: "kserve" }), "trimtab endpoints export scans --kserve --image 'scans:v{version}'");
  assert.equal(command("scans", { ...CHOICE, format: "envoy", upstreams: "", split: "proxy" }), "trimtab endpoints export scans --envoy");
});

test("what is a folder is no text to show", () => {
  const folders = FORMATS.filter((one) => one.file === "").map((one) => one.id);
  assert.deepEqual(folders, ["ray", "image"]);
  assert.match(rayCommands("scans"), /export scans --ray --output scans-ray\n/);
});
