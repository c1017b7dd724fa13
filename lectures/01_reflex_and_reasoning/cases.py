"""Tables for checks.py: which side each key falls on, and which answers are right."""

# -- split_by_key ----------------------------------------------------------------------------------

SIDES = {".": "train", "v": "validation", "t": "test"}
# The sides of the keys buy:0 to buy:119, and of some keys that are not ASCII.
BUY = (
    "......v.v.t..............tt.v......t.......v....tv......v......"
    "............v............t.........t.................t..v"
)
OTHER_KEYS = {"lápices:3": ".", "日本:7": ".", "½:1": "t", "Ana+Łukasz": ".", "é": "v", "ü:2": "."}
SIDE_OF = {
    key: SIDES[letter]
    for key, letter in [*((f"buy:{i}", x) for i, x in enumerate(BUY)), *OTHER_KEYS.items()]
}

# -- check_answer ----------------------------------------------------------------------------------

# (completion, right?, why), all against the gold answer 72 unless another is given
NUMBERS = [
    ("#### 72", True, "the plain case"),
    ("\n<<48+24=72>>72\n#### 72", True, "the answer after a chain"),
    ("####72", True, "no blank is needed"),
    ("#### 72\n", True, "a line end behind it"),
    ("  ####  72 \t\r\n\n", True, "blanks around the number do not count"),
    ("The answer is #### 72", True, "text before the mark does not count"),
    ("#### $72", True, "a dollar sign is a unit"),
    ("#### 72.", True, "a full stop left over from a sentence"),
    ("#### 72.00", True, "72.00 equals 72"),
    ("#### 072", True, "072 equals 72"),
    ("#### 72%", True, "a per-cent sign is a unit and does not divide"),
    ("#### 71", False, "another number"),
    ("#### -72", False, "the sign counts"),
    ("#### 7.2", False, "another number"),
    ("#### 720", False, "72 is only the beginning of 720"),
    ("#### 172", False, "72 is only the end of 172"),
    ("#### 72.000000001", False, "nearly equal is not equal"),
    (
        "#### 72.00000000000000000001",
        False,
        "a float cannot tell these apart; compare exactly, as Fraction does",
    ),
]
OTHER_GOLD = [
    ("1,250", "#### 1250", True, "the gold answer may have commas, too"),
    ("1250", "#### $1,250.00", True, "commas, dollar, decimals"),
    ("-3", "#### -3.0", True, "negative answers"),
    ("-3", "#### -$3", True, "a minus sign before the dollar"),
    ("0", "#### -0", True, "-0 is 0"),
    ("0.5", "#### 0.50", True, "decimals compare as numbers"),
    ("1250", "#### 1,25,0", False, "commas stand between groups of three"),
    ("1250", "#### 12,50", False, "commas stand between groups of three"),
    ("1000000", "#### 1,000,000", True, "several commas"),
    (
        "1234567",
        "#### 1234,567",
        False,
        "the group before the first comma has at most three digits",
    ),
    ("-3", "#### $-3", False, "the minus sign stands before the dollar"),
    ("-3", "#### - 3", False, "no blank stands behind the minus sign"),
    ("0.5", "#### .5", False, "a digit stands before the point"),
    ("$50", "#### 50.%", True, "dollar and per cent are units, of the gold answer, too"),
    ("50", "#### 50%.0", False, "the per-cent sign stands at the end"),
    ("72", "#### " + "0" * 28 + "72", True, "30 characters are allowed"),
    ("72", "#### " + "0" * 29 + "72", False, "31 characters are too many"),
]
MARKS = [
    ("", False, "no answer at all"),
    ("72", False, "without the mark there is no answer"),
    ("It is 72", False, "no mark"),
    ("### 72", False, "three signs are no mark"),
    ("# # # # 72", False, "no mark"),
    ("＃＃＃＃ 72", False, "these are other characters that look alike"),
    (
        "#### 71\n#### 72",
        False,
        "two answers are no decision, and must not be paid: one of them may be a guess",
    ),
    ("#### 72\n#### 71", False, "two answers, the first one right"),
    ("#### 72 #### 72", False, "two marks"),
    ("######## 72", False, "eight signs are two marks"),
    ("#### 72\nThat was easy: 12.", True, "later lines do not count"),
    ("#### 71\nNo, 72.", False, "only the mark's own line counts"),
    ("####\n72", False, "the number stands on the next line"),
    ("##### 72", False, "the fifth sign is not part of a number"),
]
NONSENSE = [
    ("####", False, "nothing behind the mark"),
    ("#### ", False, "a blank is no number"),
    ("#### .", False, "a point is no number"),
    ("#### $", False, "a dollar sign is no number"),
    ("#### 72 clips", False, "a number and nothing else"),
    ("#### x72", False, "a number and nothing else"),
    ("#### 72 73", False, "one number"),
    ("#### --72", False, "one minus sign at most"),
    ("#### 7 2", False, "no blanks inside a number"),
    ("#### 72e0", False, "no exponents"),
    ("#### 7_2", False, "Python reads 7_2, the rules do not"),
    ("#### +72", False, "a plus sign is not in the rules"),
    ("#### 72.0.0", False, "one point at most"),
    ("#### seventy-two", False, "a word"),
    ("#### ٧٢", False, "digits of another script: \\d and isdigit() accept them, 0-9 does not"),
    ("#### 72\u2028so there", False, "U+2028 ends a line for str.splitlines, not by the rules"),
    ("#### **72**", False, "decoration"),
    ("#### 72%%", False, "one per-cent sign at most"),
    ("#### 72$", False, "a dollar sign stands in front"),
    ("#### $$72", False, "one dollar sign at most"),
]
CODE = [
    ("#### 48+24", False, "a sum is no number: was the text evaluated?"),
    ("#### 144/2", False, "a quotient is no number: Fraction('144/2') reads one"),
    ("#### int('72')", False, "code: was it evaluated?"),
    ("#### 9**9**9**9", False, "code that would run for ever"),
    ("#### __import__('os').getcwd()", False, "code that could do anything"),
    ("#### nan", False, "float() reads it"),
    ("#### inf", False, "float() reads it"),
    ("#### " + "7" * 5000, False, "more than 30 characters"),
    ("#### 72" + " " * 5000, True, "blanks around the number do not count, be they thousands"),
    ("####" * 20_000, False, "eighty thousand signs"),
]
