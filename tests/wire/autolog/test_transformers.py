"""What the callback of Transformers' trainer logs."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: make autolog")
pytest.importorskip("transformers", reason="Transformers is not installed: make autolog")

import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
from transformers.integrations import MLflowCallback


class Rows(torch.utils.data.Dataset):
    """Sentences of made-up words, whose first word tells their class."""

    def __init__(self, count: int) -> None:
        self.words = torch.randint(0, 30, (count, 6), generator=torch.Generator().manual_seed(7))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        words = self.words[index]
        return {
            "input_ids": words,
            "attention_mask": torch.ones_like(words),
            "labels": (words[0] > 15).long(),
        }


def test_the_trainer(logged: Callable[[], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MLFLOW_FLATTEN_PARAMS", "TRUE")
    config = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        num_labels=2,
    )
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=6,
        per_device_train_batch_size=8,
        logging_steps=2,
        eval_strategy="steps",
        eval_steps=3,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        BertForSequenceClassification(config),
        arguments,
        train_dataset=Rows(32),
        eval_dataset=Rows(8),
        callbacks=[MLflowCallback()],
    )
    trainer.train()
    run = logged()
    assert run.data.params["max_steps"] == "6"
    assert len(run.data.params) > 100  # its hundreds of parameters come in batches
    assert [point.step for point in MlflowClient().get_metric_history(run.info.run_id, "loss")] == [2, 4, 6]
    assert "eval_loss" in run.data.metrics
