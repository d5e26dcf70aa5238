"""Reads and writes files of scores of any detector."""

from addnet.evaluation.score_files.reading import JoinedScores, read_scores, told_of_missing
from addnet.evaluation.score_files.table import Columns
from addnet.evaluation.score_files.writing import write_scores

__all__ = ["Columns", "JoinedScores", "read_scores", "told_of_missing", "write_scores"]
