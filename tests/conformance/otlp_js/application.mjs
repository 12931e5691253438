// Calls a mocked provider with one of two libraries, and reports by OpenTelemetry: where to, its environment says.
//
//     node application.mjs vercel|openai PROVIDER_URL WORDS

import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { OpenAIInstrumentation } from "@opentelemetry/instrumentation-openai";
import { NodeSDK } from "@opentelemetry/sdk-node";

const [, , kind, url, words] = process.argv;
const asked = `prompt ${words}`;
const traceExporter = kind === "openai" ? new JsonExporter() : new OTLPTraceExporter();
const sdk = new NodeSDK({ traceExporter, instrumentations: [new OpenAIInstrumentation({ captureMessageContent: true })] });
sdk.start();

async function vercel() {
  const { createOpenAI } = await import("@ai-sdk/openai");
  const { embed, generateText, streamText } = await import("ai");
  const openai = createOpenAI({ baseURL: url, apiKey: "sk-none" });
  const told = { experimental_telemetry: { isEnabled: true }, maxRetries: 0 };
  const call = { model: openai.chat("gpt-4o"), prompt: asked, temperature: 0.7, ...told };
  await generateText(call);
  for await (const _ of streamText(call).textStream);
  await embed({ model: openai.embedding("text-embedding-3-small"), value: asked, ...told });
  await generateText({ ...call, model: openai.chat("over-limit") }).catch(() => undefined);
}

async function plain() {
  const { createRequire } = await import("node:module");
  const { OpenAI } = createRequire(import.meta.url)("openai");
  const client = new OpenAI({ baseURL: url, apiKey: "sk-none", maxRetries: 0 });
  const messages = [{ role: "user", content: asked }];
  const call = { model: "gpt-4o", messages, temperature: 0.7 };
  await client.chat.completions.create(call);
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const _ of await client.chat.completions.create({ ...call, ...options }));
  await client.embeddings.create({ model: "text-embedding-3-small", input: asked, encoding_format: "float" });
  await client.chat.completions.create({ ...call, model: "over-limit" }).catch(() => undefined);
}

await (kind === "vercel" ? vercel() : plain());
await sdk.shutdown();
