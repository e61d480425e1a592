# SPDX-License-Identifier: Apache-2.0
"""The action ~/query: a question in words about an image or the newest one.

Questions wait in a row, one at a time goes to the model, and it takes turns with the cameras, so
neither starves the other. All of this runs in the executor's thread and never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.node import Node

from hpe_vlm_ros.action import Query
from hpe_vlm_ros.geometry import box_iou
from hpe_vlm_ros.nodes import messages
from hpe_vlm_ros.nodes.inference import Answer, Job
from hpe_vlm_ros.people import queries
from hpe_vlm_ros.people.people import Person

SAME_HEAD = 0.3  # overlap


@dataclass
class Question:
    """A goal on its way. `newest`: it is about the stream's image, not about one of its own."""

    goal: Any
    newest: bool
    free: bool
    asked: bool = False


@dataclass(frozen=True)
class Source:
    """Where answers come from while the node is active.

    submit: hands a job to the model. newest: a camera's newest image, None while there is none;
    KeyError when there is no such camera. understand: who is seen in an answered image.
    """

    submit: Callable[[Job], None]
    newest: Callable[[str], Any]
    understand: Callable[[Answer, bool], list[Person]]


class Queries:
    """Takes questions between `open` and `shut`, and rejects them otherwise."""

    def __init__(self, node: Node, free_text: bool) -> None:
        self._free_text = free_text
        self._source: Source | None = None
        self._row: deque[Question] = deque()
        self._server = ActionServer(
            node,
            Query,
            "~/query",
            # Never called: a goal that `_accepted` takes runs only when `_end` executes it.
            execute_callback=lambda goal: Query.Result(),
            goal_callback=self._may_ask,
            handle_accepted_callback=self._accepted,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )

    def open(self, source: Source) -> None:
        """Takes questions from now on, and answers them from this source."""
        self._source = source

    def shut(self) -> None:
        """Questions that wait are refused."""
        self._source = None
        while self._row:
            self._end(self._row[0], Query.Result(refusal="the node has been deactivated"))

    def destroy(self) -> None:
        """Refuses the questions that wait and takes the action out of the graph."""
        self.shut()
        self._server.destroy()

    def on_timer(self) -> None:
        """To be called often: ends what was cancelled, asks what can be asked."""
        for question in [q for q in self._row if q.goal.is_cancel_requested]:
            self._end(question, Query.Result(refusal="cancelled"))
        if self._source is not None and self._row and not self._row[0].asked:
            self._ask(self._row[0], self._source)

    def answered(self, answer: Answer) -> None:
        """The model's answer to a question, or its failure."""
        question = answer.question
        if self._source is None or question not in self._row:
            return  # it was cancelled meanwhile
        self._end(question, self._result(question, answer, self._source))
        self.on_timer()

    def _may_ask(self, request: Any) -> GoalResponse:
        return GoalResponse.REJECT if self._source is None else GoalResponse.ACCEPT

    def _accepted(self, goal: Any) -> None:
        request = goal.request
        known = queries.understands(request.question)
        question = Question(goal, newest=not request.image.data, free=not known)
        self._row.append(question)
        self.on_timer()

    def _ask(self, question: Question, source: Source) -> None:
        request = question.goal.request
        if question.free and not self._free_text:
            try:
                # about nobody: it is asked for the refusal, which names what can be asked
                queries.answer(request.question, [], (1, 1))
            except queries.Refused as refusal:
                self._end(question, Query.Result(refusal=str(refusal)))
            return
        try:
            image = source.newest(request.camera) if question.newest else request.image
        except KeyError:
            text = f"there is no camera '{request.camera}': name one of the parameter cameras"
            self._end(question, Query.Result(refusal=text))
            return
        waiting = image is None
        state = "waiting for an image" if waiting else "thinking"
        question.goal.publish_feedback(Query.Feedback(state=state))
        if not waiting:
            question.asked = True
            free_text = request.question if question.free else None
            source.submit(Job(request.camera, image, question, free_text))

    def _result(self, question: Question, answer: Answer, source: Source) -> Query.Result:
        result = Query.Result(header=answer.header)
        if answer.error is not None:
            result.refusal = f"the model failed: {answer.error}"
        elif answer.reply is not None:
            result.answer = answer.reply
        else:
            people = source.understand(answer, question.newest)
            try:
                reply = queries.answer(question.goal.request.question, people, answer.size)
            except queries.Refused as refusal:
                result.refusal = str(refusal)
            else:
                result.answer = reply.text
                result.heads = [messages.head_pose(p, answer.header) for p in reply.people]
        return result

    def _end(self, question: Question, result: Query.Result) -> None:
        self._row.remove(question)

        def finish(goal: Any) -> Query.Result:
            if goal.is_cancel_requested:
                goal.canceled()
            elif result.refusal:
                goal.abort()
            else:
                goal.succeed()
            return result

        question.goal.execute(finish)


def named_after(people: list[Person], known: list[Person]) -> dict[int, str]:
    """Ids of people found anew, by their index: those of the tracked ones where they are."""
    tracked = [person for person in known if person.head.id]
    if not people or not tracked:
        return {}
    overlap = box_iou([p.box for p in people], [p.box for p in tracked])
    best = overlap.argmax(axis=1)
    return {
        i: tracked[j].head.id
        for i, j in enumerate(best)
        if overlap[i, j] >= SAME_HEAD and overlap[:, j].argmax() == i
    }
