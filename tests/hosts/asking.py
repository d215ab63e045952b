"""Asks a model class of lmms-eval as its evaluator does, without a run around it."""

from lmms_eval.api.instance import Instance

from temporal_plugin.integrations import lmms_eval_docs as docs

GREEDY = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0, "do_sample": False, "until": []}


def requests_for(model, documents, generation=GREEDY, to_messages=docs.doc_to_messages):
    """One request per document, which the model then finds in its task."""
    model.task_dict = {"t": {"test": documents}}
    return [
        Instance(
            request_type="generate_until",
            arguments=("", to_messages, dict(generation), index, "t", "test"),
            idx=0,
            metadata={"task": "t", "doc_id": index, "repeats": 1},
        )
        for index in range(len(documents))
    ]


def ask(model, documents, generation=GREEDY, to_messages=docs.doc_to_messages):
    """The model's answers, in the documents' order."""
    requests = requests_for(model, documents, generation, to_messages)
    return [answer.text for answer in model.generate_until(requests)]
