"""LangChain's NVIDIARerank with documents that have images, as its documentation calls it; the cases of test_langchain_images.py."""

from collections.abc import Mapping

from langchain_core.documents import Document
from langchain_nvidia_ai_endpoints import NVIDIARerank

from tests.clients.corpus import LINK, PAGES, SHORT_QUERY
from tests.clients.drivers.langchain import ALL, Ranking, ranking
from tests.clients.drivers.report import Case, report


def cases(base_url: str, model: str) -> Mapping[str, Case]:
    def rank(model: str | None, *pages: tuple[str, str]) -> Ranking:
        documents = [
            Document(page_content=text, metadata={"passage": index} | ({"image": image} if image else {}))
            for index, (text, image) in enumerate(pages)
        ]
        return ranking(NVIDIARerank(base_url=f"{base_url}/v1", model=model, top_n=ALL).compress_documents(documents, SHORT_QUERY))

    return {
        "with a model": lambda: rank(model, *PAGES),
        "without a model": lambda: rank(None, *PAGES),
        "link": lambda: rank(model, *PAGES, ("", LINK)),
    }


if __name__ == "__main__":
    report(cases)
