"""How a question is put to the model: one frame for every task, in English and in Spanish.

    plain       Question: What is 47 + 38?       cot    Question: What is 47 + 38?
                Answer:                                 Answer: Let's think step by step.

A completion begins right after the last character, so it starts with a space or a newline.
"""

import re

from minilrm.tasks.problem import PROMPT_STYLES, Problem

TEXTBOOK = {"en": ("Problem", "Solution"), "es": ("Problema", "Solución")}
FRAMES = {"en": "Question: {prompt}\nAnswer:", "es": "Pregunta: {prompt}\nRespuesta:"}
NUDGES = {"en": " Let's think step by step.", "es": " Pensemos paso a paso."}
SEPARATOR = "\n\n"  # between the solved examples of a few-shot prompt
SPANISH = frozenset(
    "cuánto cuánta cuántos cuántas qué tiene compra cada una unos unas los las el del y con por "
    "para más menos hay días es son le su sus después entre cuesta queda quedan".split()
)


def render_frame(
    problem: Problem, style: str = "plain", examples: tuple[tuple[Problem, str], ...] = ()
) -> str:
    r"""The prompt text of a problem, in the language that its `meta` names.

    `textbook` is a second wording, that of worked examples. `few_shot` puts solved examples before
    the question, each the plain prompt followed by its solution:

    >>> first = Problem("demo", "1 + 1?", "2", "a")
    >>> second = Problem("demo", "¿2 + 2?", "4", "b", meta={"language": "es"})
    >>> render_frame(second, "cot")
    'Pregunta: ¿2 + 2?\nRespuesta: Pensemos paso a paso.'
    >>> render_frame(second, "few_shot", ((first, " #### 2"),))
    'Question: 1 + 1?\nAnswer: #### 2\n\nPregunta: ¿2 + 2?\nRespuesta:'
    """
    if style not in PROMPT_STYLES:
        raise ValueError(
            f"no prompt style is called {style!r}; there are {', '.join(PROMPT_STYLES)}"
        )
    if examples and style != "few_shot":
        raise ValueError(f"examples belong to the style 'few_shot', not to {style!r}")
    if style == "textbook":
        problem_word, solution_word = TEXTBOOK[language(problem)]
        return f"{problem_word}: {problem.prompt}\n{solution_word}:"
    if style == "few_shot":
        solved = [frame(example) + solution for example, solution in examples]
        return SEPARATOR.join([*solved, frame(problem)])
    return frame(problem) + (NUDGES[language(problem)] if style == "cot" else "")


def frame(problem: Problem) -> str:
    # Not str.format: a user's question may hold braces of its own.
    return FRAMES[language(problem)].replace("{prompt}", problem.prompt)


def language(problem: Problem) -> str:
    """Either "es" or "en"; any other language is framed in English."""
    return "es" if problem.meta.get("language", "en") == "es" else "en"


def guess_language(question: str) -> str:
    """Spanish if there is an inverted question mark, or two different Spanish words; else English.

    >>> guess_language("¿Cuánto es 2 + 2?"), guess_language("Ana tiene 3 cajas y compra 4")
    ('es', 'es')
    >>> guess_language("El has 3")
    'en'
    """
    found = SPANISH & set(re.findall(r"\w+", question.casefold()))
    return "es" if "¿" in question or len(found) >= 2 else "en"
