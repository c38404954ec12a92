"""The part of PromQL that monitoring/ is written in, evaluated over samples that a test has taken.

A history is a list of (seconds, {(metric, labels): value}), oldest first; labels are a frozenset of pairs. What an
expression gives is {labels: value}. As in Prometheus, a selector takes the newest sample of five minutes, a range
function those of its range, and both sides of an operator are matched by their labels; but nothing is
extrapolated to the ends of a range, which changes no comparison with zero or of two increases."""

import operator
import re

TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)(?![a-z])|(?P<name>[a-zA-Z_]\w*)|(?P<matchers>\{[^}]*\})"
                   r"|(?P<range>\[\d+[smh]\])|(?P<symbol>==|>=|<=|[()<>*/]))")
MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
SECONDS = {"s": 1, "m": 60, "h": 3600}
COMPARISONS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq}
ARITHMETIC = {"*": operator.mul, "/": lambda a, b: a / b if b else float("nan")}
LOOK_BACK = 300


def seconds(duration):
    return int(duration[:-1]) * SECONDS[duration[-1]]


def increase(samples):
    values = [value for _, value in samples]
    return sum(new - old if new >= old else new for old, new in zip(values, values[1:]))


# By name, the fewest samples that they need and what they make of them.
FUNCTIONS = {
    "increase": (2, increase),
    "rate": (2, lambda samples: increase(samples) / (samples[-1][0] - samples[0][0])),
    "changes": (1, lambda samples: sum(a != b for (_, a), (_, b) in zip(samples, samples[1:]))),
    "min_over_time": (1, lambda samples: min(value for _, value in samples)),
}


class Evaluation:
    def __init__(self, expression, history, at):
        self.history, self.at = history, at
        self.metrics = set()  # that the expression names
        self.tokens, position = [], 0
        while position < len(expression.rstrip()):
            match = TOKEN.match(expression, position)
            assert match, f"not understood: {expression[position:]}"
            self.tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        self.result = self.conjunction()
        assert not self.tokens, f"more than an expression: {self.tokens}"

    def next_is(self, *texts):
        return bool(self.tokens) and self.tokens[0][1] in texts

    def take(self, text=None):
        kind, taken = self.tokens.pop(0)
        assert text in (None, taken), f"{taken} instead of {text}"
        return kind, taken

    def conjunction(self):
        result = self.comparison()
        while self.next_is("and"):
            self.take()
            other = self.comparison()
            result = {labels: value for labels, value in result.items() if labels in other}
        return result

    def comparison(self):
        left = self.product()
        while self.next_is(*COMPARISONS):
            compare = COMPARISONS[self.take()[1]]
            right = self.product()
            left = {labels: a for labels, a, b in self.pairs(left, right) if compare(a, b)}
        return left

    def product(self):
        left = self.primary()
        while self.next_is(*ARITHMETIC):
            apply = ARITHMETIC[self.take()[1]]
            right = self.primary()
            if isinstance(left, float):
                left = {labels: apply(left, b) for labels, b in right.items()}
            else:
                left = {labels: apply(a, b) for labels, a, b in self.pairs(left, right)}
        return left

    @staticmethod
    def pairs(left, right):
        for labels, a in left.items():
            if isinstance(right, float):
                yield labels, a, right
            elif labels in right:
                yield labels, a, right[labels]

    def primary(self):
        kind, text = self.take()
        if kind == "number":
            return float(text)
        if text == "(":
            result = self.conjunction()
            self.take(")")
            return result
        assert kind == "name", f"{text} instead of a name"
        if not self.next_is("("):
            return {labels: samples[-1][1] for labels, samples in self.series(text, LOOK_BACK).items()}
        fewest, function = FUNCTIONS[text]
        self.take("(")
        samples_of = self.series(self.take()[1])
        self.take(")")
        return {labels: function(samples) for labels, samples in samples_of.items() if len(samples) >= fewest}

    def series(self, metric, length=None):
        self.metrics.add(metric)
        matchers = MATCHER.findall(self.take()[1]) if self.tokens and self.tokens[0][0] == "matchers" else []
        if length is None:
            length = seconds(self.take()[1].strip("[]"))
        result = {}
        for time, values in self.history:
            if self.at - length < time <= self.at:
                for (name, labels), value in values.items():
                    if name == metric and all(
                            re.fullmatch(pattern if how == "=~" else re.escape(pattern), dict(labels)[label])
                            for label, how, pattern in matchers):
                        result.setdefault(labels, []).append((time, value))
        return result
