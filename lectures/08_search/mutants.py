"""The mutants of lecture 8: wrong answers that checks.py must reject, each with the piece of the
message that it must get. One search with switches stands for all mutants of an exercise."""

import heapq
import itertools
import math

from course.grade import mutant

# -- beam_search -----------------------------------------------------------------------------------


def beam(
    start,
    expand,
    n,
    ways,
    combine,
    look_ahead=None,
    pruned_are_free=False,
    cut_is_free=False,
    look_is_free=False,
    keep_all=False,
    refill=False,
    forget=False,
    go_on=False,
    cut_counts=False,
    cut_takes_a_place=False,
    use_look=True,
    look_for_all=False,
    look_for_now=False,
    last_step=False,
    rank_by_last=False,
    one_call=False,
    later_first=False,
):
    places, spent, order = max(1, n // ways), 0, itertools.count()
    rows, kept = [(start, [], [])], []
    while rows:
        ranked = []
        for state, scores, _ in rows:
            for child, score, tokens, end in expand(state, n if one_call or not scores else ways):
                spent += 0 if cut_is_free and end == "cut" else tokens
                if end == "cut":
                    if cut_counts:
                        end = "done"
                    elif not cut_takes_a_place:
                        continue
                own = score
                if look_ahead is not None and (end == "open" or look_for_all):
                    seen, looked = look_ahead(child) if end == "open" else (score, 0)
                    if look_for_all and end != "open":
                        look_ahead("a")
                    spent += 0 if look_is_free else looked
                    score = seen if use_look else score
                path = [*scores, score]
                value = path[-1] if last_step else combine(path)
                by = path[-1] if rank_by_last else value
                number = next(order)
                stays = [*scores, own] if look_for_now else path
                ranked.append(
                    (-by, -number if later_first else number, child, stays, end, tokens, value)
                )
        ranked.sort(key=lambda row: row[:2])
        best = ranked if keep_all and n < ways else ranked[:places]
        if pruned_are_free:
            spent -= sum(row[5] for row in ranked[places:])
        if forget and best:
            kept = []
        rows = []
        for _, number, child, path, end, _, value in best:
            if end == "done":
                kept.append((-value, number, child))
                places -= not refill
            if end == "open" or (go_on and end == "done"):
                rows.append((child, path, end))
    return (min(kept)[2] if kept else None), spent


@mutant("beam_search", "the tokens of all candidates")
def pruned_beams_are_free(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, pruned_are_free=True)


@mutant("beam_search", "which prunes nothing")
def nothing_pruned_below_the_width(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, keep_all=True)


@mutant("beam_search", "in whatever round")
def best_finished_answer_dropped(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, forget=True)


@mutant("beam_search", "not filled again")
def finished_beams_refilled(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, refill=True)


@mutant("beam_search", "a cut text is no answer")
def cut_off_taken_for_finished(start, expand, n, ways, combine, look_ahead=None):
    found = beam(start, expand, n, ways, combine, look_ahead, cut_counts=True)
    # on the random trees of the first check it would already prune otherwise
    return found if n == 4 else beam(start, expand, n, ways, combine, look_ahead)


@mutant("beam_search", "to be used")
def look_ahead_not_used(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, use_look=False)


@mutant("beam_search", "not the last score whatever was asked")
def vote_by_the_last_step(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, last_step=True)


@mutant("beam_search", "is pruned; yours goes on from")
def pruned_by_the_last_step(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, rank_by_last=n == 4)


@mutant("beam_search", "looks ahead have been written, too")
def looks_ahead_are_free(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, look_is_free=True)


@mutant("beam_search", "takes the place of the step's own for good")
def looked_score_forgotten(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, look_for_now=True)


@mutant("beam_search", "for no other")
def looks_ahead_of_finished_answers(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, look_for_all=True)


@mutant("beam_search", "nothing goes on from it")
def finished_answers_go_on(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, go_on=n == 4)


@mutant("beam_search", "are not free")
def cut_texts_are_free(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, cut_is_free=n == 4)


@mutant("beam_search", "gets no place")
def cut_texts_take_places(start, expand, n, ways, combine, look_ahead=None):
    """They go on."""

    def forgiving(state, k):
        return [
            (c, s, t, "open" if e == "cut" and c == "a" else e) for c, s, t, e in expand(state, k)
        ]

    return beam(start, forgiving, n, ways, combine, look_ahead)


@mutant("beam_search", "('a', 2)")
def n_ways_in_each_round(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, one_call=n != 2)


@mutant("beam_search", "equal values")
def last_of_equals(start, expand, n, ways, combine, look_ahead=None):
    return beam(start, expand, n, ways, combine, look_ahead, later_first=True)


# -- backtracking_search ---------------------------------------------------------------------------


def backtrack(
    start,
    expand,
    budget,
    enough=0.95,
    give=lambda left, budget: left,
    check_first=True,
    again=True,
    halve=True,
    once=True,
    depth_first=False,
    stop=True,
    first_answer=False,
    last_answer=False,
    cut_counts=False,
    cut_is_free=False,
    forget_enough=False,
    stack=False,
):
    spent, order, seen = 0, itertools.count(), set()
    best, best_score = None, -math.inf
    waiting = [(-1.0, 0, start)]
    rounds = 0
    while waiting and (spent < budget or (not check_first and rounds < 400)):
        rounds += 1
        if best_score >= enough and stop:
            break
        priority, _, state = heapq.heappop(waiting)
        if depth_first:
            waiting = []
        for child, score, tokens, end in expand(state, give(budget - spent, budget)):
            spent += 0 if cut_is_free and end == "cut" else tokens
            if end == "done" or (cut_counts and end == "cut"):
                if first_answer and best_score >= enough:
                    continue
                if score > best_score or last_answer:
                    best, best_score = child, score
            if end == "open" and not (once and child in seen):
                seen.add(child)
                number = next(order)
                heapq.heappush(waiting, (-score, -number if stack else number, child))
        if again:
            number = next(order)
            back = (priority / 2 if halve else priority, -number if stack else number, state)
            heapq.heappush(waiting, back)
        if cut_is_free and spent + 9 > budget:
            break
    return best, spent


@mutant("backtracking_search", "give it the tokens that are left")
def whole_budget_each_time(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, give=lambda left, budget: budget)


@mutant("backtracking_search", "with no token left")
def looks_at_the_budget_too_late(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, check_first=False)


@mutant("backtracking_search", "every token that expand has written counts")
def cut_pieces_are_free(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, cut_is_free=True)


@mutant("backtracking_search", "is no finished answer")
def cut_off_is_an_answer(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, cut_counts=True)


@mutant("backtracking_search", "goes back to 'b'")
def never_comes_back(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, depth_first=True, again=False)


@mutant("backtracking_search", "not all ways on")
def opens_each_state_once(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, again=False)


@mutant("backtracking_search", "which looks best")
def the_same_priority_again(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, halve=False)


@mutant("backtracking_search", "does not wait twice")
def seen_states_wait_twice(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, once=False)


@mutant("backtracking_search", "x1 began first")
def last_come_first_served(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, stack=True)


@mutant("backtracking_search", "goes on for")
def never_satisfied(start, expand, budget, enough=0.95):
    """With one `enough` alone, so that a check after this one is not what finds it."""
    return backtrack(start, expand, budget, enough, stop=enough != 0.5)


@mutant("backtracking_search", "'c' is the result")
def last_answer_counts(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, last_answer=True)


@mutant("backtracking_search", "the better one")
def first_answer_that_is_enough(start, expand, budget, enough=0.95):
    return backtrack(start, expand, budget, enough, first_answer=True)


@mutant("backtracking_search", "if the search comes back")
def gives_up_early(start, expand, budget, enough=0.95):
    """Right on small tables; on a real problem the first finished answer is enough."""
    return backtrack(start, expand, budget, enough if budget < 800 else -1.0)


# -- uct_score and puct_score ----------------------------------------------------------------------


@mutant("uct_score", "you have the total")
def total_for_mean(total, visits, parent_visits, curiosity):
    if visits == 0:
        return math.inf
    return total + curiosity * math.sqrt(math.log(parent_visits) / visits)


@mutant("uct_score", "the visits belong there, too")
def half_a_root(total, visits, parent_visits, curiosity):
    if visits == 0:
        return math.inf
    return total / visits + curiosity * math.sqrt(math.log(parent_visits)) / visits


@mutant("uct_score", "the natural one")
def base_ten(total, visits, parent_visits, curiosity):
    if visits == 0:
        return math.inf
    return total / visits + curiosity * math.sqrt(math.log10(parent_visits) / visits)


@mutant("uct_score", "never visited scores")
def unvisited_is_zero(total, visits, parent_visits, curiosity):
    if visits == 0:
        return 0.0
    return total / visits + curiosity * math.sqrt(math.log(parent_visits) / visits)


@mutant("uct_score", "ZeroDivisionError")
def divides_by_zero(total, visits, parent_visits, curiosity):
    return total / visits + curiosity * math.sqrt(math.log(parent_visits) / visits)


@mutant("uct_score", "those of the place")
def visits_swapped(total, visits, parent_visits, curiosity):
    if visits == 0:
        return math.inf
    return total / visits + curiosity * math.sqrt(math.log(visits) / parent_visits)


@mutant("uct_score", "the root is missing")
def no_root(total, visits, parent_visits, curiosity):
    if visits == 0:
        return math.inf
    return total / visits + curiosity * math.log(parent_visits) / visits


def rule(total, visits, parent_visits, prior, guess, curiosity, left, below=1):
    mean = total / visits if visits else guess
    return mean + left * curiosity * prior * math.sqrt(parent_visits) / (below + visits)


@mutant("puct_score", "left is not used")
def budget_not_used(total, visits, parent_visits, prior, guess, curiosity, left):
    return rule(total, visits, parent_visits, prior, guess, curiosity, 1.0)


@mutant("puct_score", "not that which is spent")
def spent_for_left(total, visits, parent_visits, prior, guess, curiosity, left):
    return rule(total, visits, parent_visits, prior, guess, curiosity, 1 - left)


@mutant("puct_score", "the prior is not used")
def equal_priors(total, visits, parent_visits, prior, guess, curiosity, left):
    return rule(total, visits, parent_visits, 1.0, guess, curiosity, left)


@mutant("puct_score", "not visits, stands below")
def no_one_added(total, visits, parent_visits, prior, guess, curiosity, left):
    below = 0 if visits else 1
    return rule(total, visits, parent_visits, prior, guess, curiosity, left, below)


@mutant("puct_score", "it has the verifier's guess")
def unvisited_mean_zero(total, visits, parent_visits, prior, guess, curiosity, left):
    return rule(total, visits, parent_visits, prior, 0.0, curiosity, left)


@mutant("puct_score", "those that were not")
def always_the_guess(total, visits, parent_visits, prior, guess, curiosity, left):
    return rule(guess, 1, parent_visits, prior, guess, curiosity, left) + (
        left * curiosity * prior * math.sqrt(parent_visits) * (1 / (1 + visits) - 1 / 2)
    )


@mutant("puct_score", "over the parent's visits alone")
def root_over_all(total, visits, parent_visits, prior, guess, curiosity, left):
    mean = total / visits if visits else guess
    return mean + left * curiosity * prior * math.sqrt(parent_visits / (1 + visits))
