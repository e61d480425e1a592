# SPDX-License-Identifier: Apache-2.0
"""What rendered people wear: clothes, hair, glasses."""
