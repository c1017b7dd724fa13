"""The study of the four kinds of reasoning: its numbers and its words, from made-up results."""

from studies import ladders
from studies.reasoning import figures
from studies.reasoning.study import KINDS


def way(bits):
    right = bits.count("1")
    return {
        "accuracy": right / len(bits), "ci": [0.0, 1.0], "n": len(bits), "think_rate": 0.4,
        "outcomes": bits,
    }  # fmt: skip


def record(kind, seed, sampled, greedy, forced):
    ways = {"sampled": way(sampled), "greedy": way(greedy), "greedy_forced": way(forced)}
    return {
        "kind": kind,
        "seed": seed,
        "summary": {"steps": 100},
        "test": {name: ways for name in KINDS},
        "structures": {name: [i // 2 for i in range(40)] for name in KINDS},
        "ladder": {"logic": {"longer": {"meaning": "one step more", **ways}}},
    }


HALF, MOST = "01" * 20, "0111" * 10
RECORDS = [
    record("base", 0, "0001" * 10, "0" * 40, HALF),
    record("grpo", 0, HALF, MOST, HALF),
    record("grpo", 1, MOST, HALF, HALF),
]


def test_the_gain_is_that_at_equal_decoding():
    found = figures.summarise(RECORDS)["kinds"]["logic"]
    assert [cell["value"] for cell in found["equal"]] == [0.25, 0.0]
    low, high = found["equal"][0]["ci"]
    assert low <= 0.25 <= high
    assert found["structures"] == 20 and found["n"] == 40
    assert found["grpo"]["sampled"] == {"mean": 0.625, "min": 0.5, "max": 0.75, "seeds": 2}


def test_the_readme_has_a_row_a_kind():
    block = figures.readme_block(figures.summarise(RECORDS))
    assert "| cash (`ledger`) | 25.0 %" in block and "62.5 % (50.0 to 75.0)" in block
    assert "+25.0" in block and "2 seeds" in block


def test_the_ladder_stands_in_its_file_and_its_picture():
    summary = figures.summarise(RECORDS)
    text = figures.ladder_tables(summary)
    assert "longer: one step more" in text and "| 75.0% | 50.0% |" in text
    assert ladders.draw(figures.rows(summary)).startswith(b"\x89PNG")


def test_what_is_missing_is_said():
    assert "not measured yet" in figures.readme_block(figures.summarise([]))
    alone = figures.readme_block(figures.summarise(RECORDS[:1]))
    assert "0 seeds" in alone and "–" in alone
