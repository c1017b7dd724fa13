"""What may reach into a running batch: stop strings, bans, forced tokens, inserted text, tools that
fail, streams."""

import pytest

from minilrm.sampler import Ban, Force, ToolError
from minilrm.sampler.hooks import Hooks
from tests.test_sampler import EOS, LIKED, PROMPTS, TOK, flat, next_logits, run, tokens


def script(*rows):
    """An `allowed` hook that makes row i say rows[i], then end."""
    return lambda row, ids: Force([rows[row][len(ids)] if len(ids) < len(rows[row]) else EOS])


def saying(*texts, **options):
    return flat(
        run(
            ["the"] * len(texts),
            allowed=script(*(TOK.encode(text, True) for text in texts)),
            **options,
        )
    )


# -- How a completion ends -------------------------------------------------------------------------


def test_the_end_of_text_is_a_token_but_no_text():
    (completion,) = saying("the cat")
    assert completion.finish_reason == "eos"
    assert completion.token_ids == [*TOK.encode("the cat"), EOS] and completion.mask == [1] * len(
        completion.token_ids
    )
    assert completion.text == completion.sampled_text == "the cat"
    assert len(completion.logprobs) == len(completion.token_ids)


def test_out_of_room():
    (completion,) = saying("the cat sat on the mat", max_new_tokens=5)
    assert completion.finish_reason == "length" and len(completion.token_ids) == 5
    (completion,) = saying("cat", max_new_tokens=len(TOK.encode("cat")) + 1)
    assert completion.finish_reason == "eos"  # the end came just in time


def test_sampled_completions_end_at_the_first_end_of_text():
    completions = flat(run(n=16))
    assert {c.finish_reason for c in completions} == {"eos", "length"}
    for c in completions:
        assert (
            c.token_ids.index(EOS) == len(c.token_ids) - 1
            if c.finish_reason == "eos"
            else EOS not in c.token_ids and len(c.token_ids) == 24
        )
        assert c.text == c.sampled_text == TOK.decode([i for i in c.token_ids if i != EOS])


@pytest.mark.parametrize(
    "text, stop, left",
    [
        ("the cat sat", ["cat"], "the "),
        ("the cat sat", ["at", "t "], "the c"),  # the first to be completed
        ("the cat, the mat", [", the", "mat"], "the cat"),
        ("4é.4", ["é"], "4"),  # its bytes are two tokens
        ("a\n\n4", ["\n\n"], "a"),
        ("the <think>", ["<think>"], "the "),  # one special token
        ("the cat", ["dog", "the catt"], "the cat"),  # never completed
        ("the", ["the"], ""),
    ],
)
def test_a_stop_string_ends_the_text_before_itself(text, stop, left):
    (completion,) = saying(text, stop=stop)
    assert completion.text == completion.sampled_text == left
    assert completion.finish_reason == ("stop" if left != text else "eos")
    if left != text:
        # The tokens are kept up to the one that completed it: they were sampled and are trained on.
        said = TOK.decode(completion.token_ids)
        assert any(s in said for s in stop) and not any(
            s in TOK.decode(completion.token_ids[:-1]) for s in stop
        )
        assert len(completion.mask) == len(completion.logprobs) == len(completion.token_ids)


def test_a_stop_string_may_be_a_part_of_one_token():
    assert Hooks(TOK, (", ", "at", "13")).cut("12 cat, 13") == "12 c"
    assert Hooks(TOK, ("3",)).cut("12") == "12"
    whole = TOK.vocab_size - 1  # the last merge: a piece of a word
    text = TOK.decode([whole])
    (completion,) = flat(run(["the"], allowed=script([whole]), stop=[text[-1], text[1]]))
    assert (completion.text, completion.finish_reason) == (
        text[:1],
        "stop",
    ) and completion.token_ids == [whole]


def test_a_stop_string_in_the_prompt_does_not_count():
    (completion,) = flat(run(["the cat"], allowed=script(TOK.encode("4")), stop=["the", "t4"]))
    assert (completion.text, completion.finish_reason) == ("4", "eos")


def test_a_stop_string_ends_its_own_row_only():
    first, second = saying("the cat sat", "a mat.", stop=["cat"])
    assert (first.text, first.finish_reason) == ("the ", "stop")
    assert (second.text, second.finish_reason) == ("a mat.", "eos")


# -- Banning and forcing ---------------------------------------------------------------------------


def test_banned_ids_are_not_said_and_the_rest_makes_up_the_distribution():
    banned = [LIKED[1], LIKED[2], EOS]
    for prompt, group in zip(PROMPTS, run(n=4, allowed=lambda row, ids: Ban(banned)), strict=True):
        for completion in group:
            assert (
                not set(banned) & set(completion.token_ids) and completion.finish_reason == "length"
            )
            for t, (token, logprob) in enumerate(
                zip(completion.token_ids, completion.logprobs, strict=True)
            ):
                logits = next_logits(prompt, completion.token_ids[:t])
                logits[banned] = float("-inf")
                assert logprob == pytest.approx(logits.log_softmax(-1)[token].item(), abs=1e-5)


def test_a_ban_of_one_row_leaves_the_others_alone():
    free, bound = (
        tokens(run(n=2)),
        tokens(run(n=2, allowed=lambda row, ids: Ban(LIKED) if row == 3 else None)),
    )
    assert free[:3] == bound[:3] and free[4:] == bound[4:] and not set(LIKED) & set(bound[3])


def test_one_forced_id_is_certain_and_several_share_the_probability():
    (completion,) = flat(run(["the"], allowed=lambda row, ids: Force([40]), max_new_tokens=3))
    assert completion.token_ids == [40] * 3 and completion.mask == [1] * 3
    assert completion.logprobs == pytest.approx([0, 0, 0], abs=1e-6)
    pair = LIKED[1:3]
    (group,) = run(["the"], n=200, allowed=lambda row, ids: Force(pair), max_new_tokens=1)
    wanted = next_logits("the", [])[pair].log_softmax(-1)
    assert {c.token_ids[0] for c in group} == set(pair)
    for c in group:
        assert c.logprobs[0] == pytest.approx(wanted[pair.index(c.token_ids[0])].item(), abs=1e-5)


def test_forcing_and_banning_hold_for_greedy_too():
    best = run(["the"], temperature=0)[0][0].token_ids[0]
    (completion,) = flat(
        run(["the"], temperature=0, max_new_tokens=1, allowed=lambda row, ids: Ban([best]))
    )
    assert completion.token_ids[0] != best


def test_the_hook_sees_what_was_said_so_far():
    seen = {}

    def allowed(row, ids):
        seen.setdefault(row, []).append(ids)

    for row, ids in enumerate(tokens(run(n=3, allowed=allowed))):
        assert seen[row] == [ids[:t] for t in range(len(ids))]


def test_a_hook_that_makes_no_sense_is_told_so():
    with pytest.raises(ValueError, match="no token"):
        run(allowed=lambda row, ids: Force([]))
    with pytest.raises(ValueError, match="no token"):
        run(allowed=lambda row, ids: Ban(range(TOK.vocab_size)))
    with pytest.raises(TypeError, match="Ban, Force or None"):
        run(allowed=lambda row, ids: [3])


# -- Inserted text ---------------------------------------------------------------------------------

ADDED = TOK.encode("= 4, ")


def after(length, extra=ADDED, rows=None):
    """An `intervene` hook that adds something once a row is so long."""
    return lambda row, ids: extra if len(ids) == length and (rows is None or row in rows) else None


def test_inserted_tokens_are_in_the_text_and_the_context_but_were_not_said():
    k, groups = len(ADDED), run(n=4, intervene=after(3), allowed=lambda row, ids: Ban([EOS]))
    for prompt, group in zip(PROMPTS, groups, strict=True):
        for c in group:
            assert c.token_ids[3 : 3 + k] == ADDED
            assert c.mask == [1] * 3 + [0] * k + [1] * (21 - k)
            assert c.logprobs[3 : 3 + k] == [0.0] * k and all(
                x < 0 for x in c.logprobs[:3] + c.logprobs[3 + k :]
            )
            assert c.text == TOK.decode(c.token_ids)
            assert c.sampled_text == TOK.decode(c.token_ids[:3] + c.token_ids[3 + k :])
            t = 3 + k  # what comes next depends on what was inserted
            logits = next_logits(prompt, c.token_ids[:t])
            logits[EOS] = float("-inf")
            assert c.logprobs[t] == pytest.approx(
                logits.log_softmax(-1)[c.token_ids[t]].item(), abs=1e-5
            )


def test_an_insertion_leaves_other_rows_alone():
    plain, touched = tokens(run(n=2)), tokens(run(n=2, intervene=after(1, rows={1, 4})))
    changed = [row for row in range(8) if plain[row] != touched[row]]
    assert changed == [row for row in (1, 4) if plain[row] != [EOS]]


def test_nobody_is_asked_while_inserted_text_is_fed():
    asked, wanted = [], []

    def allowed(row, ids):
        asked.append(len(ids))
        return Ban([EOS])

    def intervene(row, ids):
        wanted.append(len(ids))
        return ADDED if len(ids) == 2 else None

    run(["the"], intervene=intervene, allowed=allowed, max_new_tokens=10)
    end = 2 + len(ADDED)
    assert asked == [0, 1, *range(end, 10)]
    assert wanted == [1, 2, *range(end, 11)]


def test_inserted_text_counts_towards_the_length_and_may_be_cut():
    (completion,) = flat(
        run(
            ["the"],
            intervene=after(2, ADDED * 5),
            max_new_tokens=6,
            allowed=lambda r, i: Ban([EOS]),
        )
    )
    assert completion.token_ids[2:] == (ADDED * 5)[:4] and completion.finish_reason == "length"


def test_an_inserted_end_of_text_ends_nothing():
    (completion,) = flat(
        run(["the"], intervene=after(2, [EOS]), max_new_tokens=6, allowed=lambda r, i: Ban([EOS]))
    )
    assert completion.token_ids[2] == EOS and len(completion.token_ids) == 6


def test_a_tool_that_fails_ends_its_row():
    def intervene(row, ids):
        if row == 1 and len(ids) == 2:
            raise ToolError("no such tool")

    plain, broken = (
        saying("the cat sat", "a mat."),
        saying("the cat sat", "a mat.", intervene=intervene),
    )
    assert broken[0] == plain[0]
    assert broken[1].finish_reason == "tool_error" and broken[1].token_ids == plain[1].token_ids[:2]


def test_a_row_that_has_ended_is_left_in_peace():
    def intervene(row, ids):
        if EOS in ids:
            raise ToolError("there is nothing to call a tool for")

    (completion,) = saying("the", intervene=intervene, stop=["<|endoftext|>"])
    assert completion.finish_reason == "eos" and completion.text == "the"


def test_stop_strings_see_inserted_text_too():
    (completion,) = flat(
        run(
            ["the"],
            intervene=after(2, TOK.encode("STOP.")),
            stop=["STOP"],
            allowed=lambda r, i: Ban([EOS]),
        )
    )
    assert completion.finish_reason == "stop" and completion.text == completion.sampled_text
    assert completion.text == TOK.decode(completion.token_ids[:2])


def test_the_stream_gets_every_token_in_order():
    streamed = {}
    groups = run(
        n=3,
        intervene=after(2),
        stop=["."],
        stream=lambda row, token, sampled: streamed.setdefault(row, []).append((token, sampled)),
    )
    for row, completion in enumerate(flat(groups)):
        assert streamed[row] == [
            (i, bool(m)) for i, m in zip(completion.token_ids, completion.mask, strict=True)
        ]
