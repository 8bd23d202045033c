import ArgumentParser
@main struct Maild: ParsableCommand { func run() {} }
