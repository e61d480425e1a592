# SPDX-License-Identifier: Apache-2.0
"""`python -m hpe_vlm_ros demo-web`: photos, videos and the webcam in a browser on this machine.

viewer: images to people and drawings, without a page. page: the page, in Gradio. server: serves it
to this machine alone, and keeps it from the network.
"""
