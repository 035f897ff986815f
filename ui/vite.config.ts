// Builds the browser source into the Python package; the API is proxied in development.
import { defineConfig } from "vite";

const api = process.env["TRIMTAB_URL"] ?? "http://127.0.0.1:5000";

export default defineConfig({
  base: "/",
  build: {
    outDir: "../src/trimtab/web/static",
    emptyOutDir: true,
    assetsDir: "assets",
    assetsInlineLimit: 0,
    target: "es2023",
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // The router's files carry "use client", which means nothing in a bundle.
      onwarn: (warning, warn) => {
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: { proxy: { "/api": api, "/version": api } },
});
