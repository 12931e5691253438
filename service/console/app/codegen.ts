import type { CodegenConfig } from "@graphql-codegen/cli";

// The documents of the pages against the schema: one that the service would refuse does not build.
const config: CodegenConfig = {
  schema: "../../../schema.graphql",
  documents: "src/**/*.{ts,tsx}",
  ignoreNoDocuments: true,
  generates: {
    "src/api/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true,
        enumsAsTypes: true,
        useTypeImports: true,
        scalars: {
          Base64: "string",
          BigInt: "string",
          Count: "number",
          DateTime: "string",
          Decimal: "string",
          Digest: "string",
          TimeZone: "string",
        },
      },
    },
  },
};

export default config;
