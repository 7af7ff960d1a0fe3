// The same call as a program. Texts are written as JSON, which Python and JavaScript read as their own string literals.

import { sent } from "./passages.js";

const KEY = "RERANKER_API_KEY";
const json = (value, indent = 2) => JSON.stringify(value, null, indent);

/** The languages by name: {label, write}. `write` takes {base, model, query, passages, truncate, keyed}. */
export const LANGUAGES = { curl: { label: "curl", write: curl }, requests: { label: "Python", write: requests }, langchain: { label: "LangChain", write: langchain }, cohere: { label: "cohere", write: cohere }, javascript: { label: "JavaScript", write: javascript } };

/** The body of the request; the data of an image is left out, to be filled in. */
export function bodyOf({ query, passages, truncate }) {
  return { query: { text: query }, passages: sent(passages.map(named)), truncate };
}

const named = (passage) => (passage.image ? { ...passage, image: `data:image/…;base64,… (${passage.name})` } : passage);

function curl(asked) {
  const key = asked.keyed ? ` -H "Authorization: Bearer $${KEY}"` : "";
  return `curl -s ${asked.base}/v1/ranking -H 'Content-Type: application/json'${key} --data-binary @- <<'JSON'\n${json(bodyOf(asked))}\nJSON\n`;
}

function requests(asked) {
  const key = asked.keyed ? `    headers={"Authorization": "Bearer " + os.environ["${KEY}"]},\n` : "";
  return `${asked.keyed ? "import os\n\n" : ""}import requests

answer = requests.post(
    "${asked.base}/v1/ranking",
${key}    json=${json(bodyOf(asked), 4).replaceAll("\n", "\n    ")},
    timeout=120,
)
answer.raise_for_status()
for place, ranking in enumerate(answer.json()["rankings"], 1):
    print(place, ranking["index"], ranking["logit"])
`;
}

function langchain(asked) {
  const key = asked.keyed ? `os.environ["${KEY}"]` : '"any"';
  return `${asked.keyed ? "import os\n\n" : ""}from langchain_core.documents import Document
from langchain_nvidia_ai_endpoints import NVIDIARerank

passages = ${texts(asked)}
ranker = NVIDIARerank(
    base_url="${asked.base}/v1", model=${json(asked.model)}, api_key=${key}, truncate="${asked.truncate}", top_n=len(passages)
)
documents = [Document(page_content=text, metadata={"index": index}) for index, text in enumerate(passages)]
for document in ranker.compress_documents(documents, ${json(asked.query)}):
    print(document.metadata["index"], document.metadata["relevance_score"])
`;
}

function cohere(asked) {
  const key = asked.keyed ? `os.environ["${KEY}"]` : '"any"';
  const whole = asked.truncate === "NONE" ? '\n    request_options={"additional_body_parameters": {"truncate": "NONE"}},' : "";
  return `${asked.keyed ? "import os\n\n" : ""}import cohere

client = cohere.ClientV2(${key}, base_url="${asked.base}")
answer = client.rerank(
    model=${json(asked.model)},
    query=${json(asked.query)},
    documents=${texts(asked).replaceAll("\n", "\n    ")},${whole}
)
for result in answer.results:
    print(result.index, result.relevance_score)
`;
}

function javascript(asked) {
  const key = asked.keyed ? `, Authorization: \`Bearer \${process.env.${KEY}}\`` : "";
  return `const answer = await fetch("${asked.base}/v1/ranking", {
  method: "POST",
  headers: { "Content-Type": "application/json"${key} },
  body: JSON.stringify(${json(bodyOf(asked)).replaceAll("\n", "\n  ")}),
});
if (!answer.ok) throw new Error((await answer.json()).message);
for (const { index, logit } of (await answer.json()).rankings) console.log(index, logit);
`;
}

// Of passages with images the text alone: these clients send no images.
const texts = ({ passages }) => json(passages.map(({ text }) => text ?? ""), 4);
