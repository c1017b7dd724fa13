"""Does a model think again, and does it help? Reflection read off exactly from traces, and tested
by taking it away.

DeepSeek-R1 (arXiv 2501.12948) showed one transcript ("Wait, wait. That's an aha moment") and a
curve of growing length. Neither says whether the second thought *does* anything. Three steps here
do:

1. Read (`reading.py`). `read` parses a completion of a task with traces (`tasks/traces.py`) into
   attempts, each judged exactly; `measures` counts.
2. Ablate (`ablation.py`). `ablate` samples again with the reflection word banned at decoding. With
   A for accuracy,

       ablation_gap = A(after) - A(after, banned)
       gain         = A(after) - A(before)
                    = [A(after, banned) - A(before)]  +  [A(after) - A(after, banned)]
                       sharpening                         retrying

   A model that only grew surer of its first try (sharper) loses nothing by the ban; one that lives
   on retries does.
3. Judge. `verdict`: load-bearing if, against step 0, the retry rate rose, at least 5 answers were
   corrected for one that was spoiled, and the ablation gap is above 0; superficial if it rose
   without that; absent if it did not rise.

The baseline beside it (`forcing.py`): the same word put in by hand, behind each rejected attempt of
a model that was not trained for it.

What it leaves out. A model may try again without the word: the retry rate under the ban is counted
too, and where it is high the gap is a lower bound. Sharpening is measured at one temperature: the
base at its best one belongs beside it (`evaluate.py`). And a ban takes a model off the paths that
it was trained on: what it loses may in part be confusion, which `cut` and `well_formed` under the
ban show.

    python -m minilrm.reflection --checkpoint runs/grpo-countdown-... --before countdown-base
"""

from minilrm.reflection.ablation import (
    ablate,
    ablation_gap,
    ban_reflection,
    decompose,
    study,
    verdict,
    verdict_over_seeds,
)
from minilrm.reflection.command import Options
from minilrm.reflection.forcing import force, without_repeats
from minilrm.reflection.reading import Reading, highlight, live, measures, read, share, traced

__all__ = [
    "Options",
    "Reading",
    "ablate",
    "ablation_gap",
    "ban_reflection",
    "decompose",
    "force",
    "highlight",
    "live",
    "measures",
    "read",
    "share",
    "study",
    "traced",
    "verdict",
    "verdict_over_seeds",
    "without_repeats",
]
