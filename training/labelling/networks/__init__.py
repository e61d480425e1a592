# SPDX-License-Identifier: Apache-2.0
"""Head-pose networks of others, which label photographs and are compared with."""
