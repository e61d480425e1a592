# SPDX-License-Identifier: Apache-2.0
"""One reader for each public data set; all yield `Sample`."""
