"""Traces for checks.py: what writers put down below the problem "Make 53 with 4, 7, 25"."""

TRACES = {
    "corrected": " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>",
    "careless": " 25-7=18, 18+4=22 ok\n<answer>25-7+4</answer>",
    "right": " 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>",
    "spoiled": " 4*7=28, 28+25=53 no\nwait, 25-7=18, 18+4=22 ok\n<answer>25-7+4</answer>",
    "doubted": " 4*7=28, 28+25=53 no\nwait, 7*4=28, 25+28=53 ok\n<answer>25+7*4</answer>",
    "leaves it": " 25-7=18, 18+4=22 no\n<answer>25-7+4</answer>",
    "third time": " 25-7=18, 18+4=22 no\nwait, 4+7=11, 25+11=36 no\n"
    "wait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>",
    "answers better": " 25-7=18, 18+4=22 no\n<answer>4*7+25</answer>",
    "answers worse": " 4*7=28, 28+25=53 ok\n<answer>25-7+4</answer>",
    "no word": " 25-7=18, 18+4=22 no\n4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>",
    "copied wrongly": " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>25-7+4</answer>",
    "cut later": " 25-7=18, 18+4=22 no\nwait, 4+7=11, 25+",
    "blue": "\n<answer>4*7+25</answer>",
    "cut": " 25-7=18, 18",
    "cut before ok": " 4*7=28, 28+25=53 o",
}
