import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "schema.graphql",
  documents: "documents/*.graphql",
  generates: {
    "gql/": {
      preset: "client",
      presetConfig: { persistedDocuments: true, fragmentMasking: false },
      config: {
        strictScalars: true,
        enumsAsTypes: true,
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
