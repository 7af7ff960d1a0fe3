// Rerank clients of npm against the server at the URL of the first argument; the second is {"query", "documents"}.
// Writes {case: {"value": [[index, score], ...]}} or {case: {"error": text}} to standard output.

import { createCohere } from "@ai-sdk/cohere";
import { CohereRerank } from "@langchain/cohere";
import { rerank } from "ai";
import { CohereClient, CohereClientV2 } from "cohere-ai";
import { createVoyage } from "voyage-ai-provider";

const MODEL = "rerank-v3.5";
const [url, asked] = [process.argv[2], JSON.parse(process.argv[3])];
const { query, documents } = asked;

const ofCohere = (answer) => answer.results.map((result) => [result.index, result.relevanceScore]);
const one = new CohereClient({ token: "any", environment: url });
const two = new CohereClientV2({ token: "any", environment: url });
const langchain = (topN) => new CohereRerank({ client: one, model: MODEL, topN });
const ofAi = async (model, options = {}) => {
  const { ranking } = await rerank({ model, query, documents, maxRetries: 0, ...options });
  return ranking.map((each) => [each.originalIndex, each.score]);
};

const cases = {
  "cohere-ai, v1": async () => ofCohere(await one.rerank({ model: MODEL, query, documents })),
  "cohere-ai, v2": async () => ofCohere(await two.rerank({ model: MODEL, query, documents })),
  "cohere-ai, objects": async () => ofCohere(await one.rerank({ model: MODEL, query, documents: documents.map((text) => ({ text })) })),
  "cohere-ai, top 2": async () => ofCohere(await two.rerank({ model: MODEL, query, documents, topN: 2 })),
  "cohere-ai, no document": async () => ofCohere(await two.rerank({ model: MODEL, query, documents: [] })),
  "LangChain": async () => {
    const ranked = await langchain(documents.length).rerank(documents, query);
    return ranked.map((each) => [each.index, each.relevanceScore]);
  },
  "LangChain, compressor, top 2": async () => {
    const given = documents.map((pageContent, index) => ({ pageContent, metadata: { index } }));
    const ranked = await langchain(2).compressDocuments(given, query);
    return ranked.map((each) => [each.metadata.index, each.metadata.relevanceScore]);
  },
  "AI SDK, Cohere": () => ofAi(createCohere({ apiKey: "any", baseURL: `${url}/v2` }).reranking(MODEL)),
  "AI SDK, Cohere, top 2": () => ofAi(createCohere({ apiKey: "any", baseURL: `${url}/v2` }).reranking(MODEL), { topN: 2 }),
  "AI SDK, Voyage": () => ofAi(createVoyage({ apiKey: "any", baseURL: `${url}/v1` }).reranking("rerank-2.5")),
};

const outcomes = {};
for (const [name, run] of Object.entries(cases)) {
  try {
    outcomes[name] = { value: await run() };
  } catch (error) {
    outcomes[name] = { error: `${error.message} ${JSON.stringify(error.body ?? error.responseBody ?? null)}` };
  }
}
console.log(JSON.stringify(outcomes));
