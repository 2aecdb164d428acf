"""The terms of tables with their definitions, which footers and ``attnbench explain`` show."""

from __future__ import annotations

import re

from attnbench.errors import unknown

CONVENTIONS = (
    "MACs: multiply-adds of convolutions, linear layers and matrix products (attention's "
    "included), for one image, and nothing else. One FLOP of a printed table is one multiply-add.",
    "Counts without a unit are exact.",
)
CORRELATION = (
    "Rank correlation: Spearman's, of a column with the overhead in a runtime, over the "
    "modules' plain forms: 1 where the column ranks the modules as time does, 0 where it says "
    "nothing of it."
)
VERDICTS = (
    "Verdicts: reproduced = the printed figure is the source's own (nominal) value at the last "
    "printed digit, both rounded and cut; by rounding, by cutting = by that alone; explained = it "
    "is not, and a note derives it; differs = it is not, for no known reason, though a note may "
    "guess; not measured = we have no value."
)
NOMINAL = (
    "A nominal value written as a sum is not our count of the network: it starts from the plain "
    "network's figure as the source prints it, and adds the change by the source's formulas. The "
    "columns without a printed figure have our counts."
)
VERDICT_RULE = (
    "Overhead: the centre (Hodges-Lehmann) of the same-round ratios to the plain network, with a "
    "95% interval: of three or more processes by their spread, moderated over the rows that were "
    "timed together. slower, faster: a difference of at least 0.5% and beyond the A/A floor, "
    "claimed so that at most 5% of such claims in a table are wrong; same within x%: the whole "
    "interval is, x at most 3; inconclusive: neither, or the A/A arm (the plain network timed "
    "against its own copy) failed. The floor is the largest difference that the A/A interval "
    "allows. Times of one thread are without what other programs took of the processor."
)
ACCURACY_RULE = (
    "Accuracy: mean over seeds with a 95% interval (Student's t), in percent of the test images "
    "after the last epoch; no epoch is chosen by its accuracy. Difference: own less plain backbone "
    "of the same seed (same initial weights, order of images and augmentation), mean and 95% "
    "interval in points. better, worse: claimed so that at most 5% of such claims in a table are "
    "wrong; same within x: the whole interval is, x at most 0.5 points; inconclusive: neither. No "
    "verdict below three seeds."
)
MACS_RULE = "MACs: multiply-adds of convolutions, linear layers and matrix products, one image."
OVERHEAD_RULE = (
    "Overhead: time against the plain network in the same round, 95% interval; at most 5% of "
    "claims in a table are wrong."
)
DIFFERENCE_RULE = (
    "Difference: top-1 less the plain backbone's of the same seed, after the last epoch; at most "
    "5% of claims in a table are wrong."
)
TERMS: dict[str, str] = {
    "params": "Params: all parameters of the network or module, those of norms included. +Params: "
    "what the module adds to the plain backbone.",
    "trainable": "Trainable: parameters that training changes, those of norms included.",
    "macs": f"{CONVENTIONS[0]} +MACs: what the module adds to the plain backbone.",
    "activations": "Activations: output elements of convolutions, linear layers and matrix "
    "products, for one image.",
    "bytes": "Bytes: read and written by each operator in fp32, for one image, as if none were "
    "fused with another.",
    "counters": "Counters: fvcore, ptflops and torch count the same network. What they count "
    "otherwise, such as norms, biases or two operations for a multiply-add, is named operator by "
    "operator; a counter agrees if nothing is left unexplained. --explain shows the steps.",
    "formula": "Formula: parameters or MACs by the formula that the module's paper prints, which "
    "often leaves out biases and norms.",
    "printed": VERDICTS,
    "nominal": NOMINAL,
    "overhead": VERDICT_RULE,
    "fused": "Fused: the inference form of a module, with norms folded and passes over memory "
    "merged. It gives the same output.",
    "floor": "A/A floor: the plain network is timed against its own copy; the floor is the largest "
    "difference that this interval allows. Smaller differences are not told from noise.",
    "trust": "Trust: ok, or no if the A/A arm failed, its floor is too high or there were too few "
    "rounds. Without trust there is no verdict; a footnote gives the reason.",
    "verdict": "Verdict: slower, faster, same and inconclusive are explained by overhead; better "
    "and worse by accuracy; reproduced, explained and differs by printed.",
    "seeds": "(+N seeds): about as many more seeds as an inconclusive difference needs for a "
    "verdict, if its mean and spread stay the same.",
    "interval": "95%, interval: confidence interval of the figure before it, at 95%.",
    "median": "Median, ms, p90, p99, min: quantiles of the arm's own times in milliseconds. They "
    "drift with the machine: compare modules by the overhead.",
    "throughput": "Throughput, images/s: images of a batch over the median time.",
    "peak": "Peak memory: live activations of one forward pass in fp32, by analysis; measured on a "
    "GPU.",
    "correlation": CORRELATION,
    "accuracy": f"Top-1, top-5: share of the test images whose class comes first, or among the "
    f"first five. {ACCURACY_RULE}",
    "mcnemar": "Images gained / lost: test images that only the module, or only the plain "
    "backbone, gets right, with McNemar's p of these trained weights alone.",
    "placement": "Placement: where modules go. after:14 is behind layer 14 as the ULSAM tables "
    "count MobileNets, the stem being layer 1; attnbench show backbone NAME lists the layers.",
}
"""Definitions by term, which begin with the heads that they explain."""


def find_terms(word: str) -> list[str]:
    """Return the term of a name or head, or the terms whose definitions define the word.

    Raises:
        UnknownNameError: none does.
    """
    name = word.lower().strip()
    if name in TERMS:
        return [name]
    heads = [
        term for term, text in TERMS.items() if name in text.partition(":")[0].lower().split(", ")
    ]
    definition = re.compile(rf"(?<![\w+-]){re.escape(name)}(, \w+| within [^:]+)?(:| =)", re.I)
    found = heads or [term for term, text in TERMS.items() if definition.search(text)]
    if not found:
        raise unknown("term", word, TERMS)
    return found


def pointer(*terms: str) -> str:
    """Return the sentence on where terms, methods and notes of a table stand in full."""
    return f"Columns: attnbench explain {' '.join(terms)}; methods, notes and versions: --explain."
