"""Imported runs in the verbs that read runs: compare pairs them, the report and the leaderboard show them as such."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

import evalsuite
from evalsuite.cli import main
from evalsuite.comparison import compare, paired
from evalsuite.errors import InputError
from evalsuite.importing import import_logs
from evalsuite.publishing import build_site
from evalsuite.publishing.recompute import verdicts_of

CHOICE, OPEN = "lm-eval:facts_choice@1", "lm-eval:facts_open@2.1"


@pytest.fixture
def three(logs, store):
    return [import_logs("lm-eval", logs / "lm-eval" / n, store, name=n)[0] for n in ("base", "sft", "sft-chat")]


def test_two_imported_runs_are_paired_sample_by_sample(three):
    found = {(d.task, d.metric): d for d in paired(three[1], three[0])}
    acc = found[CHOICE, "acc"]
    assert (acc.n, acc.value) == (10, pytest.approx(0.1))
    assert acc.verdict != "not comparable"
    ours, theirs = ({r["sample"]: r["score.acc"] for r in run.rows(CHOICE)} for run in (three[1], three[0]))
    assert set(acc.fixed) == {s for s in ours if ours[s] > theirs[s]}
    assert set(acc.broken) == {s for s in ours if ours[s] < theirs[s]}


def test_another_template_is_an_effect_of_format_and_is_said(three):
    pair = compare([three[1], three[2]]).pairs[0]
    extract = next(d for d in pair.differences if d.metric == "exact_match,flexible-extract")
    assert extract.n == 8
    assert "other template" in extract.notes
    assert any("compared on the 8 that both have" in note for note in extract.notes)


def test_repeats_are_paired_too(logs, store):
    runs = [import_logs("inspect", logs / "inspect" / f"{n}.eval", store, name=n)[0] for n in ("wrong", "right")]
    match = next(d for d in paired(runs[1], runs[0]) if d.metric == "match")
    assert (match.n, match.value) == (4, 0.75)
    assert len(runs[0].samples().merge(runs[1].samples(), on=["task", "sample", "repeat"])) == 8


def test_other_prompts_under_the_same_name_are_refused(logs, store, edited):
    def change(log):
        for sample in log["samples"]:
            sample["messages"][0]["content"] = "Answer in a rhyme."

    one = import_logs("inspect", logs / "inspect" / "right.eval", store, name="a")[0]
    log = edited(logs / "inspect" / "right-once.json", change)
    other = import_logs("inspect", log, store, name="b")[0]
    with pytest.raises(InputError, match="the task's prompts differ"):
        compare([one, other])


def test_nothing_of_ours_is_ever_paired_with_a_foreign_task(three, make_run):
    """The task has another name, whatever it is called there."""
    ours = make_run("ours", {"facts_choice": {"acc": [1.0] * 10}})
    with pytest.raises(InputError, match="no shared samples"):
        compare([ours, three[0]])


def test_figures_are_verified_where_samples_give_them(three):
    verdicts = verdicts_of(three[0])
    assert verdicts[CHOICE, "acc"].kind not in ("differs", "unverified")
    assert verdicts["lm-eval:facts_loss@1", "bits_per_byte"].kind == "unverified"
    bare = verdicts_of(three[2])
    assert bare[OPEN, "exact_match,strict-match"].kind not in ("differs", "unverified")


def test_the_verbs_that_read_runs_show_them(three, store, tmp_path, capsys):
    words = ["--store", str(store)]
    assert main(["samples", "base", "--task", CHOICE, "--limit", "2", *words]) == 0
    assert "log p" in capsys.readouterr().out
    assert main(["compare", "base", "sft", *words]) == 0
    assert CHOICE in capsys.readouterr().out
    assert main(["report", "base", "sft", "--out", str(tmp_path / "report.html"), *words]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "lm-eval 0.4.13: hf" in page
    assert CHOICE in page
    index = build_site(three, tmp_path / "site")
    assert CHOICE in (index.parent / "data" / "board.js").read_text(encoding="utf-8")
    assert "lm-eval 0.4.13: hf" in (index.parent / "models" / "base.html").read_text(encoding="utf-8")


def test_a_run_without_samples_stands_on_the_pages(logs, store, tmp_path):
    for path in (logs / "lm-eval" / "base").glob("samples_*"):
        path.unlink()
    bare = import_logs("lm-eval", logs / "lm-eval" / "base", store, name="bare")[0]
    whole = import_logs("lm-eval", logs / "lm-eval" / "sft", store, name="whole")[0]
    index = build_site([bare, whole], tmp_path / "site")
    assert "no samples were handed in" in (index.parent / "data" / "figures.csv").read_text(encoding="utf-8")
    assert main(["report", "bare", "--out", str(tmp_path / "r.html"), "--store", str(store)]) == 0
    with pytest.raises(InputError, match="imported without samples"):
        compare([whole, bare])


def test_a_submission_of_an_imported_run_is_checked(three, store, tmp_path, capsys):
    results = str(tmp_path / "results")
    assert main(["leaderboard", "add", "base", "--results", results, "--store", str(store)]) == 0
    assert main(["leaderboard", "check", "--results", results]) == 0
    assert "refused" not in capsys.readouterr().out.lower()


def test_the_commands_of_the_docs(logs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALSUITE_STORE", raising=False)
    shutil.copytree(logs / "lm-eval", "out")
    Path("logs").mkdir(exist_ok=True)
    for path in Path("logs").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copy(Path(__file__).parent / "logs" / "inspect" / "right.eval", "logs")
    text = (Path(evalsuite.__file__).parents[1] / "docs" / "importing.md").read_text(encoding="utf-8")
    lines = re.search(r"```bash\n(.*?)```", text, re.S)[1].splitlines()
    assert len(lines) == 6
    for line in lines:
        assert main(shlex.split(line, comments=True)[1:]) == 0, line
    assert Path("site/index.html").is_file()
    capsys.readouterr()
