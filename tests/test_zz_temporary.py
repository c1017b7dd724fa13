def test_imports():
    import torch, transformers, tokenizers, minilrm  # noqa
    print(torch.__version__)
