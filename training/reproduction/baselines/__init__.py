# SPDX-License-Identifier: Apache-2.0
"""What HPE-CogVLM is compared with: one file each, on the same data, scored on the same heads."""
