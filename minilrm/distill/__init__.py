"""Distillation: a small student learns from what a larger teacher writes, or thinks of each token.

x is a prompt, y a completion with its end-of-text token. T and S are what teacher and student
expect at y_t, after x and y_<t: softmax(logits / tau).

    traces     minimise  - sum_t log S(y_t)           y by the teacher, kept if right (tau = 1)
    logits     minimise  tau^2 sum_t KL(T || S)        the same y
    on-policy  minimise  tau^2 sum_t JSD_beta(T, S)    y by the STUDENT with probability lambda

traces: sequence-level knowledge distillation (Kim & Rush, arXiv 1606.07947). R1 taught small models
in this way (2501.12948).

logits: Hinton et al. (1503.02531). A distribution says more than the one token drawn from it: at
tau = 1 the gradient with respect to S's logits, S - T, is what that of the traces, S - onehot(y_t),
is on average. Why tau^2: the gradient of the KL is (S - T) / tau, and S - T itself shrinks as
1 / tau; the factor keeps its size, and so the balance with the hard loss.

on-policy: GKD (2306.13649). The teacher corrects the student where the student goes wrong, in
places that no trace of the teacher visits. A sample is data: no gradient flows through the drawing
of it. It wants a student that can write already (--student): in noise there is little to correct,
and where T and S hardly meet, a JSD is flat.

All three are one loss, a mean over completion tokens. A way is three numbers in it (`WAYS`):

    on the teacher's traces    hard_weight * (- log S(y_t))
                               + (1 - hard_weight) * tau^2 JSD_beta(T, S)
    on the student's samples   tau^2 JSD_beta(T, S)

where JSD_0 is KL(T || S) and JSD_1 is KL(S || T).

Left out: a reward beside the divergence (GKD), policy gradients of the reverse KL of whole
sequences (MiniLLM, 2306.08543), hidden states, beam search for traces, a teacher with another
tokenizer. The teacher is asked anew in each step; its logits are never stored.

    python -m minilrm.distill --teacher runs/grpo-... --student-scale nano --way traces
"""

from minilrm.distill.loss import WAYS, loss_of
from minilrm.distill.trainer import Options, State, Trainer, main, teacher_and_student, train

__all__ = ["WAYS", "Options", "State", "Trainer", "loss_of", "main", "teacher_and_student", "train"]
